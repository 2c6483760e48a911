"""The papers' experiments from the command line."""
