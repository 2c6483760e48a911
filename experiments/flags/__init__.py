"""From flags to the settings of a run: defined, explained, parsed, completed by the recipes, and checked."""
