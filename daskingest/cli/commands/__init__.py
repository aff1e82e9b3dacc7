"""The commands, one per file. They import what they need when they run, so `--help` is quick."""
