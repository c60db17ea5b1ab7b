"""From masks and outlines to what is known of each pixel of a scene."""
