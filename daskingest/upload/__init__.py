"""Uploads: send the articles of a CSV file to a service, each counted once, and measure it."""
