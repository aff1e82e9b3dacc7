"""Files of articles from the web, fetched whole however often the connection breaks."""
