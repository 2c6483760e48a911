"""Short programs, one per kind of model, that show how its weights are selected."""
