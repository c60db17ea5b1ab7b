"""The formats in which others keep pictures with their labels, in and out.

Each module reads its format as an iterator of `LabelledImage`, one in memory at a time,
and most write it from one. `folder.write` of what any of them reads is what
`data.prepare` takes.
"""

from minenet.data.formats.labelled import LabelledImage

__all__ = ["LabelledImage"]
