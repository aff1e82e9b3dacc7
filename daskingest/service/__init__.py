"""Articles that arrive one by one: on disk when acknowledged, and then through the pipeline."""
