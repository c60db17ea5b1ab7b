"""The launcher and its scripts."""
