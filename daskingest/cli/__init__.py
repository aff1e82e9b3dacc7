"""The command line: `daskingest COMMAND`."""
