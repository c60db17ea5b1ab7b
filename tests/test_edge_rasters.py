"""Awkward real files: each is mapped where it lies, or refused in one line."""

import functools
import itertools

import geopandas
import jax
import numpy as np
import pytest
import rasterio
import rasterio.features

from minenet import losses, models
from minenet.geo import bands, raster
from minenet.geo.windows import Window
from minenet.infer import bundle as bundle_
from minenet.infer import predict, scene
from minenet.ops import normalize
from minenet.train import loop, sharding
from minenet.types import InputError

CHIP = 32
MAPPED = (
    "galamsey-sentinel__galamsey_001.tif",
    "opengeos__1985.tif",
    "opengeos__2020.tif",
    "rasterio__RGB.byte.tif",
    "rasterio__all-nodata.tif",
    "rasterio__alpha.tif",
    "rio-tiler__cog_nodata_nan.tif",
    "rio-tiler__cog_scale.tif",
    "rio-tiler__inverted_lat.tif",
    "stars__L7_ETMs.tif",
)


def statistics(image):
    """Of the valid values of each band; of nothing, any numbers do."""
    with np.errstate(invalid="ignore"):
        known = [band[np.isfinite(band)] for band in np.moveaxis(image, -1, 0)]
    return normalize.zscore(
        [b.mean() if b.size else 0.0 for b in known],
        [b.std() if b.size else 1.0 for b in known],
    )


def trained(path, workdir):
    """A bundle trained for 5 steps to find the brighter half of its own pixels."""
    info = raster.info(path)
    stack = bands.select([[info]])
    image = bands.read([str(path)], stack, None)
    normalizer = statistics(image)
    first = image[..., 0]
    middle = np.nanmedian(first) if np.isfinite(first).any() else 0.0

    def batch(step):
        generator = np.random.default_rng(step)
        places = generator.integers(0, (info.height, info.width), (4, 2))
        chips = np.stack(
            [
                bands.read([str(path)], stack, Window(int(r), int(c), CHIP, CHIP))
                for r, c in places
            ]
        )
        valid = ~np.isnan(chips).all(axis=-1)
        return {
            "image": chips,
            "target": (np.nan_to_num(chips[..., :1]) > middle).astype(np.float32),
            "weight": valid.astype(np.float32),
            "index": np.arange(4, dtype=np.int32) + 4 * step,
        }

    options = {"widths": (4, 8)}
    result = loop.fit(
        workdir,
        model=models.build("unet", num_classes=1, **options),
        num_bands=len(stack.names),
        chip=(CHIP, CHIP),
        task="binary",
        train_batches=lambda start: map(batch, itertools.count(start)),
        validation=lambda: [batch(1000)],
        normalizer=normalizer,
        augment=None,
        loss=losses.build("bce_dice", task="binary"),
        optimizer={"learning_rate": 1e-3},
        steps=5,
        batch_size=4,
        evaluate_every=5,
        seed=0,
        mesh=sharding.mesh(devices=jax.devices()[:1]),
    )
    return bundle_.Bundle(
        model={"name": "unet", **options},
        variables=result.variables,
        task="binary",
        classes=("mine",),
        contract=bundle_.contract(stack, [info]),
        normalizer=normalizer,
        threshold=0.5,
        window=64,
        origin={"step": 5},
    )


# Each compiles a network: the default suite has one, the slow one all of them.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if i else [])
        for i, name in enumerate(MAPPED)
    ],
)
def test_each_file_is_mapped_where_it_lies(real_data, tmp_path, name, caplog):
    path = real_data / "edge_rasters" / name
    bundle = trained(path, tmp_path / "run")
    maps = scene.predict_scene(
        bundle, predict.predictor(bundle, batch_size=8), [str(path)], tmp_path / "maps"
    )
    nodata = np.isnan(raster.read_float(path)).all(axis=-1)
    with (
        rasterio.open(path) as source,
        rasterio.open(maps.probability) as probability,
        rasterio.open(maps.classes) as classes,
    ):
        for written in (probability, classes):
            assert written.shape == source.shape
            assert written.transform.almost_equals(source.transform)
            assert written.crs == source.crs
        np.testing.assert_array_equal(np.isnan(probability.read(1)), nodata)
        np.testing.assert_array_equal(classes.read(1) == 255, nodata)
        found = classes.read(1) == 1
        outlines = functools.reduce(
            np.logical_or, [outline(maps.polygons, source)], np.zeros_like(found)
        )
    assert nodata.all() == ("no valid pixel" in caplog.text)
    # Vectorised and burnt again, the polygons are the class map.
    np.testing.assert_array_equal(outlines, found)


def outline(path, source):
    frame = geopandas.read_file(path)
    if not len(frame):
        return np.zeros(source.shape, bool)
    return rasterio.features.rasterize(
        frame.geometry, out_shape=source.shape, transform=source.transform
    ).astype(bool)


def test_a_file_placed_by_control_points_alone_is_refused(real_data):
    path = real_data / "edge_rasters" / "rio-tiler__cog_gcps.tif"
    with pytest.raises(InputError, match="gdalwarp") as refusal:
        raster.info(path)
    assert "\n" not in str(refusal.value) and path.name in str(refusal.value)
