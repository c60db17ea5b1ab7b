"""Scenes and polygons in and out; no JAX here."""
