"""Recipes: what a training is, from a TOML file; the bundled ones lie here too."""
