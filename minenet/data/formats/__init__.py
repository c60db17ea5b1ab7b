"""The formats in which others keep pictures with their labels, in and out.

Each module reads its format as an iterator of `LabelledImage`, one in memory at a time,
and writes it from one:

* `folder`: images and masks of the same names, GeoTIFF, PNG or JPEG.
* `npy`: arrays beside PNG masks, and rasters turned into arrays.
* `palette`: masks that are painted.
* `deforestation`: TFRecords of PNG images and one-hot masks, on `tfrecord` and
  `example`, which know nothing of pictures.
* `coco`, `coco_writer`: objects in COCO JSON, as outlines or run lengths.
* `dstl`, `dstl_wkt`: DSTL's Kaggle challenge, and submissions to it.
* `runs`: run-length codes in a table.

`reading` has them all by name, `conversion` makes of each what `data.prepare` takes,
and `maps` turns the maps of a model into files of these formats.
"""

from minenet.data.formats.labelled import LabelledImage

__all__ = ["LabelledImage"]
