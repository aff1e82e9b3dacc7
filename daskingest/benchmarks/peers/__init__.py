"""What one might use instead of run-csv: small scripts, each for the Python that has its library.

They don't use daskingest, and are run from a copy of this folder (`python -m peers.NAME`), because
their libraries are in environments of their own, see `peer_runs`. All take the same arguments,
count the articles of a CSV file with the columns `article` and `publication`, and write a report,
see `work.py`.
"""
