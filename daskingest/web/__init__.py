"""HTTP: the service's requests and answers, and the web pages."""
