"""Configurations: plain Python files that return an `ml_collections.ConfigDict`."""
