import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minenet.geo import windows
from minenet.geo.windows import Window

small = st.integers(1, 12)
any_window = st.builds(Window, st.integers(-9, 9), st.integers(-9, 9), small, small)


def pixels(window):
    if window is None:
        return set()
    rows = range(window.row, window.row_stop)
    return {(r, c) for r in rows for c in range(window.col, window.col_stop)}


@st.composite
def grids(draw):
    size = draw(st.tuples(small, small))
    options = {
        "size": size,
        "stride": tuple(draw(st.integers(1, s)) for s in size),
        "margin": draw(st.tuples(st.integers(0, 5), st.integers(0, 5))),
    }
    return draw(st.integers(1, 25)), draw(st.integers(1, 25)), options


@given(grids())
def test_a_grid_covers_the_scene_and_its_margin_with_one_size_on_a_stride(drawn):
    height, width, options = drawn
    (rows, cols), (down, right) = options["size"], options["stride"]
    top, left = options["margin"]
    found = windows.grid(height, width, **options)

    whole = Window(-top, -left, height + 2 * top, width + 2 * left)
    assert pixels(whole) <= set().union(*map(pixels, found))
    assert {(w.height, w.width) for w in found} == {(rows, cols)}
    assert all((w.row + top) % down == 0 == (w.col + left) % right for w in found)
    assert found == sorted(set(found))


@given(grids())
def test_a_grid_has_no_row_or_column_too_many(drawn):
    height, width, options = drawn
    top, left = options["margin"]
    found = windows.grid(height, width, **options)
    for axis, end in (("row", height + top), ("col", width + left)):
        origins = sorted({getattr(w, axis) for w in found})
        size = options["size"][axis == "col"]
        assert all(origin + size < end for origin in origins[:-1])


@given(grids(), small, small)
def test_a_larger_scene_only_adds_windows(drawn, taller, wider):
    height, width, options = drawn
    found = windows.grid(height, width, **options)
    assert set(found) <= set(windows.grid(height + taller, width + wider, **options))


@given(any_window, any_window)
def test_intersect_is_the_common_pixels_in_either_order(a, b):
    assert pixels(windows.intersect(a, b)) == pixels(a) & pixels(b)
    assert windows.intersect(a, b) == windows.intersect(b, a)
    assert windows.contains(a, b) == (pixels(b) <= pixels(a))


@given(any_window, st.integers(-9, 9), st.integers(-9, 9))
def test_shift_and_expand_undo_themselves(window, rows, cols):
    assert windows.shift(windows.shift(window, rows, cols), -rows, -cols) == window
    grown = windows.expand(window, (2, 3))
    assert windows.contains(grown, window)
    assert windows.expand(grown, (-2, -3)) == window


@given(any_window, small, small)
def test_padding_brings_the_clipped_part_back_to_size(window, height, width):
    inside = windows.clip(window, height, width)
    if inside is None:
        with pytest.raises(ValueError, match="outside the scene of"):
            windows.padding(window, height, width)
        return
    scene = np.arange(1, height * width + 1).reshape(height, width)
    padded = np.pad(scene[inside.slices], windows.padding(window, height, width))
    for (row, col), value in np.ndenumerate(padded):
        row, col = row + window.row, col + window.col
        known = 0 <= row < height and 0 <= col < width
        assert value == (scene[row, col] if known else 0)


@given(small, small, small)
def test_strips_are_a_partition(height, width, rows):
    found = windows.strips(height, width, rows=rows)
    together = [pixel for strip in found for pixel in sorted(pixels(strip))]
    assert together == sorted(pixels(Window(0, 0, height, width)))
    assert max(strip.height for strip in found) <= rows


@given(st.integers(1, 999), st.floats(0, 1, exclude_max=True))
def test_the_stride_leaves_the_wanted_overlap_and_never_a_gap(size, overlap):
    stride = windows.stride(size, overlap=overlap)
    assert 1 <= stride <= size
    assert stride == pytest.approx(size * (1 - overlap), abs=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: windows.grid(5, 5, size=4, stride=5), "stride must be 1 to size=4"),
        (lambda: windows.grid(5, 5, size=4, stride=0), "got stride=0"),
        (lambda: windows.grid(0, 5, size=4), "height=0"),
        (lambda: windows.grid(5, 5, size=4, margin=-1), "margin=-1"),
        (lambda: windows.stride(4, overlap=1.0), "below 1, got 1.0"),
        (lambda: windows.strips(4, 4, rows=0), "rows must be positive, got 0"),
        (lambda: Window(0, 0, 0, 3), "at least one pixel"),
        (lambda: Window(-1, 0, 2, 3).slices, "wrap around"),
    ],
)
def test_misuse_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
