"""Sending the articles of a CSV file to a service, each counted once, and measuring how it goes."""
