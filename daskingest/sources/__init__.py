"""Files of articles, and the ranges of whole rows that they are cut into."""
