"""`daskingest doctor`: checks everything that daskingest needs, and says what is wrong."""
