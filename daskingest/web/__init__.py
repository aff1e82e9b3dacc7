"""The HTTP service: what it takes, what it tells, and the application around it."""
