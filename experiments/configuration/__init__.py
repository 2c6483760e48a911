"""What decides a run: its settings, what may be chosen, and the papers' values."""
