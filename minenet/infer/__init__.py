"""From a trained model and a scene of any size to its map and polygons."""
