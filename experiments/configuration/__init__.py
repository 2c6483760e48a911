"""What decides a run: its settings, their flags, the papers' values of them, and which are allowed."""
