"""From rasters and outlines to batches of chips, without a leak between splits."""
