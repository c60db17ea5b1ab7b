"""Scenes that look like satellite images, with mines whose outlines are known.

For tests, for a first run on any machine, and wherever real imagery may not travel.
What misleads a classifier of pixels in real scenes is here too: sand bars, bare fields,
outcrops, towns and roads have the colours of mines, and mines hold ponds and trees.
"""

from minenet.data.synthetic.compose import BANDS, Synthetic, scene, write

__all__ = ["BANDS", "Synthetic", "scene", "write"]
