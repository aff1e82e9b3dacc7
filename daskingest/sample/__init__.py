"""Made-up articles, as many as you like, with a vocabulary that grows as real news' does."""
