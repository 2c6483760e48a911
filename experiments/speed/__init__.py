"""What the benchmark measures, and how it is drawn."""
