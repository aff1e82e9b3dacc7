"""`daskingest doctor`: looks at all that daskingest needs, and says what is wrong with it."""
