import functools
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial import distance

from benchmarks import peers
from minenet import metrics
from minenet.metrics import objects, surface

quick = settings(max_examples=40)
masks = hnp.arrays(bool, (9, 11))
weights = hnp.arrays(np.float32, (9, 11), elements=st.sampled_from([0, 0.5, 1]))


def discs(seed, size=64):
    """Two maps of round objects that nearly agree."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    maps = np.zeros((2, size, size), bool)
    for _ in range(5):
        y, x, r = *rng.uniform(4, size - 4, 2), rng.uniform(3, 9)
        for each in maps:
            dy, dx = rng.normal(0, 1.5, 2)
            each |= (rows - y - dy) ** 2 + (columns - x - dx) ** 2 <= r**2
    return maps


def outline(mask):
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


@quick
@given(masks, masks, st.sampled_from([1.0, (0.5, 2.0)]))
def test_distances_are_those_of_brute_force(found, truth, pixel_m):
    distances = surface.distances(found, truth, pixel_m=pixel_m)
    a, b = (np.argwhere(outline(m)) * np.asarray(pixel_m) for m in (found, truth))
    if len(a) and len(b):
        apart = distance.cdist(a, b)
        np.testing.assert_allclose(distances.found, apart.min(1))
        np.testing.assert_allclose(distances.truth, apart.min(0))
    else:
        assert (len(distances.found), len(distances.truth)) == (len(a), len(b))
        assert np.isinf(np.concatenate(distances)).all()


@quick
@given(masks, masks, st.integers(1, 4))
def test_the_band_is_what_erosion_takes_away(found, truth, steps):
    square = np.ones((3, 3))
    bands = [m & ~ndimage.binary_erosion(m, square, steps) for m in (found, truth)]
    union = (bands[0] | bands[1]).sum()
    expected = (bands[0] & bands[1]).sum() / union if union else np.nan
    value = surface.boundary_iou(found, truth, width_m=steps * 3.0, pixel_m=3.0)
    np.testing.assert_allclose(value, expected)


@quick
@given(masks, masks)
def test_a_wide_band_is_the_whole(found, truth):
    whole = surface.boundary(found, truth, width_m=99, pixel_m=1)
    flat = (m[..., None].astype(np.float32) for m in (found, truth))
    expected = metrics.histogram(*flat, np.ones(found.shape), bins=2)
    np.testing.assert_array_equal(whole, expected)


@quick
@given(masks, masks, weights, masks)
def test_what_lies_under_weight_0_changes_nothing(found, truth, weight, other):
    poisoned = [np.where(weight > 0, m, other) for m in (found, truth)]
    band = functools.partial(surface.boundary, width_m=2, pixel_m=1)
    match = functools.partial(objects.match, pixel_m2=1, sizes_m2=(4,))
    distances = functools.partial(surface.distances, pixel_m=1)
    for each in (band, match, distances):
        for a, b in zip(
            each(found, truth, weight), each(*poisoned, weight), strict=True
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore")  # of MONAI and torch, at their import
@pytest.mark.parametrize("seed", range(3))
def test_surfaces_are_those_of_monai(seed):
    torch = pytest.importorskip("torch", reason="torch absent: install oracles")
    oracle = pytest.importorskip("monai.metrics", reason="MONAI absent: install peers")

    found, truth = discs(seed)
    pair = [torch.from_numpy(m[None, None].astype(np.float32)) for m in (found, truth)]
    distances = surface.distances(found, truth, pixel_m=10)
    common = {"include_background": True, "spacing": 10}
    expected = oracle.compute_hausdorff_distance(*pair, percentile=95, **common)
    np.testing.assert_allclose(surface.hd95(distances), expected[0, 0], rtol=1e-6)
    expected = oracle.compute_average_surface_distance(*pair, symmetric=True, **common)
    value = surface.mean_surface_distance(distances)
    np.testing.assert_allclose(value, expected[0, 0], rtol=1e-6)
    expected = oracle.compute_surface_dice(*pair, class_thresholds=[10], **common)
    value = surface.surface_dice(distances, tolerance_m=10)
    np.testing.assert_allclose(value, expected[0, 0], rtol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of torch, at its import
@pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None,
    reason="torchmetrics absent: install peers",
)
def test_panoptic_quality_is_that_of_torchmetrics():
    torch, oracle = peers.torch(), peers.panoptic_quality()
    for seed in range(4):
        maps = discs(seed)
        labelled = [ndimage.label(m, np.ones((3, 3)))[0] for m in maps]
        # Category 1 is a thing and has instances; 0, the ground, is to be left out.
        expected = oracle(
            *(
                torch.from_numpy(np.stack(each, axis=-1)).long()[None]
                for each in zip(maps, labelled, strict=True)
            ),
            things={1},
            stuffs={0},
            return_per_class=True,
        )
        value = objects.panoptic_quality(objects.match(*maps, pixel_m2=1).sum(0))
        np.testing.assert_allclose(value, expected[0, 0], rtol=1e-5)


@quick
@given(masks, masks, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_matches_are_those_of_brute_force(found, truth, least):
    a, b = (ndimage.label(m, np.ones((3, 3))) for m in (found, truth))
    pairs = []
    for i in range(1, b[1] + 1):
        for j in range(1, a[1] + 1):
            one, other = b[0] == i, a[0] == j
            if (value := (one & other).sum() / (one | other).sum()) > least:
                pairs.append((-value, i, j))
    total, used = 0.0, [set(), set()]
    for value, i, j in sorted(pairs):
        if i not in used[0] and j not in used[1]:
            used[0].add(i), used[1].add(j)
            total -= value
    sums = objects.match(found, truth, pixel_m2=1, iou=least)
    expected = [len(used[0]), b[1], len(used[1]), a[1], total]
    np.testing.assert_allclose(sums, [expected])


@quick
@given(masks, masks)
def test_sizes_add_up_and_roles_swap(found, truth):
    by_size = objects.match(found, truth, pixel_m2=100, sizes_m2=(200, 500))
    whole = objects.match(found, truth, pixel_m2=100)
    assert by_size.shape == (3, 5)
    np.testing.assert_allclose(by_size.sum(0), whole[0])
    swapped = objects.match(truth, found, pixel_m2=100)
    if truth.any():
        recall, precision = objects.recall(whole), objects.precision(swapped)
        np.testing.assert_array_equal(recall, precision)
    np.testing.assert_allclose(objects.f1(whole), objects.f1(swapped))


def test_objects_count_by_their_size():
    truth = np.zeros((8, 8), bool)
    truth[0, 0] = truth[4:8, 4:8] = True
    found = truth.copy()
    found[0, 0], found[4, 4] = False, False
    found[0, 6] = True
    sums = objects.match(found, truth, pixel_m2=100, sizes_m2=[1000])
    np.testing.assert_allclose(sums, [[0, 1, 0, 1, 0], [1, 1, 1, 1, 15 / 16]])
    np.testing.assert_allclose(objects.recall(sums), [0, 1])
    np.testing.assert_allclose(objects.panoptic_quality(sums.sum(0)), 15 / 16 / 2)
    corner = np.eye(2, dtype=bool)
    for neighbours, number in ((4, 2), (8, 1)):
        sums = objects.match(corner, corner, pixel_m2=1, neighbours=neighbours)
        assert sums[0, 1] == number


def test_the_numerical_part_needs_no_scipy():
    program = (
        "import sys, minenet.metrics\n"
        "assert not {'minenet.metrics.surface', 'minenet.metrics.objects'}"
        " & set(sys.modules)\n"
        "sys.exit('scipy.ndimage' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_errors_name_what_is_wrong():
    mask = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match=r"target \(shape=\(4, 3\)\)"):
        surface.distances(mask, mask[:, :3], pixel_m=1)
    with pytest.raises(ValueError, match="width_m=4: must be at least a pixel"):
        surface.boundary_iou(mask, mask, width_m=4, pixel_m=10)
    with pytest.raises(ValueError, match="tolerance_m=-1: must be metres"):
        surface.surface_dice(surface.distances(mask, mask, pixel_m=1), tolerance_m=-1)
    match = functools.partial(objects.match, mask, mask, pixel_m2=1)
    with pytest.raises(ValueError, match="iou=1: must lie in 0..1"):
        match(iou=1)
    with pytest.raises(ValueError, match="neighbours=6: must be 4 or 8"):
        match(neighbours=6)
    with pytest.raises(ValueError, match=r"sizes_m2=\(2, 1\): must ascend"):
        match(sizes_m2=(2, 1))
