"""A run, from settings to a summary, and all that it needs on its way."""
