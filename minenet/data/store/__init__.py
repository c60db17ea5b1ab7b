"""A store of chips: Zarr v3 with shards, in a folder or a bucket.

`create` writes metadata and index, `fill` the chips, task by task; `Store` reads them
and `StoreSource` feeds training. xarray and zarr-python open the same group, and for
GDAL `export` writes GeoTIFFs:

* `image [N, H, W, C]`, `target [N, H, W]` class ids with 255 for what does not count,
  or `[N, H, W, K]` where classes may overlap; `valid` as `image` where that is of
  integers. All three in shards of several chips.
  A weight is 1 where the target is not 255, so that there is no array of weights.
* the index, arrays `[N]`: `scene, row, col, tile_ix, tile_iy, year, cluster, split`;
  -1 is none. Scenes, clusters and splits are codes into the lists `minenet.names` of
  the group's attributes.
* the group `windows`: what training draws from, with the same codes.
"""

from minenet.data.store.create import create
from minenet.data.store.export import export
from minenet.data.store.layout import Layout
from minenet.data.store.read import Store
from minenet.data.store.source import StoreSource
from minenet.data.store.write import ShardWriter, fill

__all__ = ["Layout", "ShardWriter", "Store", "StoreSource", "create", "export", "fill"]
