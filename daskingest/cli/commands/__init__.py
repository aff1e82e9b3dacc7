"""The commands, one a file. What they need is imported when they run: `--help` answers at once."""
