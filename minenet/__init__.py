"""Mapping mines from satellite images with JAX, from polygons to defensible maps."""

__version__ = "0.1.0"
