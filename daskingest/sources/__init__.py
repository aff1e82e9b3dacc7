"""What a file of articles is, and the ranges of whole rows that it is cut into."""
