"""Over HTTP: what the service takes and tells, and the pages for people."""
