"""Seeded schedules of faults against the program, and an oracle of what must hold after them.

`python -m tests.chaos --help` says how to run them, CONTRIBUTING.md what they find.
"""
