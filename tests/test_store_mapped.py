"""Memory maps of shards give what TensorStore reads from them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minenet.data.store import arrays
from minenet.data.store.layout import Layout
from minenet.types import InputError

SIZE, CHIPS = 12, 7
SIDE = st.integers(0, SIZE)


@pytest.fixture(scope="module", params=["float32", "uint16"])
def store(request, tmp_path_factory):
    """Its target has a shard and a chunk of nothing but what it is filled with."""
    url = str(tmp_path_factory.mktemp("mapped"))
    layout = Layout(CHIPS, SIZE, ("a", "b"), request.param, chunk=4, shard=2)
    generator = np.random.default_rng(0)
    import tensorstore

    for name, metadata in layout.arrays().items():
        kvstore = {"driver": "file", "path": os.path.join(url, name, "")}
        spec = {"driver": "zarr3", "kvstore": kvstore, "metadata": metadata}
        array = tensorstore.open(spec, create=True).result()
        values = generator.integers(0, 2, array.shape).astype(array.dtype.numpy_dtype)
        if name == "target":
            values[:2] = 255
            values[3, :4, 4:8] = 255
        for i in range(layout.shards):
            array[layout.rows(i)].write(values[layout.rows(i)]).result()
    return url, layout


@settings(max_examples=40)
@given(st.integers(0, CHIPS - 1), st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE))
def test_a_part_is_what_tensorstore_reads(store, chip, rows, cols):
    url, layout = store
    at = chip, slice(*sorted(rows)), slice(*sorted(cols))
    mapped, wanted = arrays.chips(url, layout), arrays.writable(url, layout.arrays())
    for name in layout.arrays():
        found, expected = (each[name][at].read().result() for each in (mapped, wanted))
        np.testing.assert_array_equal(found, expected, strict=True)
        assert found.flags.writeable and found.base is None


def test_a_damaged_shard_is_told(store, tmp_path):
    url, layout = store
    folder = tmp_path / "image/c/1/0/0"
    folder.mkdir(parents=True)
    whole = Path(url, "image/c/1/0/0/0").read_bytes()
    image = arrays.chips(str(tmp_path), layout)["image"]
    at = 2, slice(0, SIZE), slice(0, SIZE)
    for part in (whole[:-200], whole[400:], whole[:50]):
        (folder / "0").write_bytes(part)
        with pytest.raises(InputError, match="1/0/0/0: no shard of this store, or dam"):
            image[at].read().result()
    (folder / "0").write_bytes(whole)
    assert np.isfinite(image[at].read().result()).all()
