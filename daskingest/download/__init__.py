"""Downloads: files of articles from the web, even over connections that break."""
