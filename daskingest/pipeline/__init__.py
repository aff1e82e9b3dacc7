"""The pipeline: batches go through a Dask cluster into a store, each counted once."""
