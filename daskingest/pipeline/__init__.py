"""Batches through a Dask cluster into a store, each counted once."""
