"""The service: articles that arrive one by one are spooled to disk, then counted."""
