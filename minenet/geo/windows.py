"""Windows as integer algebra: where to cut a scene, and what sticks out of it.

A window is an immutable rectangle of pixels. It may reach beyond its scene on any
side: readers report such pixels as invalid and predictors mirror them, so that every
window of a job has one size and one compiled program serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass

Size = int | tuple[int, int]
"""`(height, width)`, or one number for both."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The pixels `row <= r < row_stop`, `col <= c < col_stop`; negative ones too.

    >>> Window(-2, 6, 4, 4).row_stop
    2
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self):
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a window needs at least one pixel, got {self}")

    @property
    def row_stop(self) -> int:
        """The first row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """The first column right of the window."""
        return self.col + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window as an index into the scene's array; only for windows inside."""
        if self.row < 0 or self.col < 0:
            raise ValueError(f"a negative slice would wrap around, got {self}")
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)


def grid(
    height: int,
    width: int,
    *,
    size: Size,
    stride: Size | None = None,
    margin: Size = 0,
) -> list[Window]:
    """Returns windows of one size that cover a scene and a margin around it.

    Origins lie on a stride from `-margin`, never shifted back at the far edges: which
    pixels share a window then does not depend on the extent of the scene, and the last
    windows reach beyond it. A scene smaller than a window gives one window.

    Args:
        height: of the scene, in pixels.
        width: of the scene, in pixels.
        size: of each window.
        stride: distance of neighbouring origins, 1 to `size`; `size` if None.
        margin: pixels to cover beyond each edge of the scene.

    Returns:
        The windows, row by row from the top left.

    Raises:
        ValueError: a scene without pixels, or a stride that would leave gaps.

    >>> [w.row for w in grid(10, 4, size=4)]
    [0, 4, 8]
    >>> [w.col for w in grid(1, 10, size=4, stride=3, margin=(0, 1))]
    [-1, 2, 5, 8]
    """
    (rows, cols), (row_margin, col_margin) = pair(size), pair(margin)
    row_stride, col_stride = pair(size if stride is None else stride)
    return [
        Window(row, col, rows, cols)
        for row in _origins("height", height, rows, row_stride, row_margin)
        for col in _origins("width", width, cols, col_stride, col_margin)
    ]


def _origins(name: str, length: int, size: int, stride: int, margin: int) -> range:
    if length < 1 or size < 1 or margin < 0:
        raise ValueError(
            f"{name} and size must be positive and margin not negative, got "
            f"{name}={length}, size={size}, margin={margin}"
        )
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be 1 to size={size}, got stride={stride}")
    reach = length + 2 * margin - size
    count = 1 + max(0, -(-reach // stride))
    return range(-margin, -margin + count * stride, stride)


def pair(size: Size) -> tuple[int, int]:
    """Returns `size` as `(height, width)`.

    >>> pair(256)
    (256, 256)
    """
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def stride(size: int, *, overlap: float) -> int:
    """Returns the stride at which neighbours share the fraction `overlap` of a side.

    >>> stride(256, overlap=0.5)
    128

    Raises:
        ValueError: an overlap that is not at least 0 and below 1.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}")
    return max(1, round(size * (1 - overlap)))


def strips(height: int, width: int, *, rows: int) -> list[Window]:
    """Cuts a scene into full-width windows of `rows` rows, the last one shorter.

    >>> [(s.row, s.height) for s in strips(5, 9, rows=2)]
    [(0, 2), (2, 2), (4, 1)]
    """
    if rows < 1:
        raise ValueError(f"rows must be positive, got {rows}")
    return [
        Window(row, 0, min(rows, height - row), width) for row in range(0, height, rows)
    ]


def shift(window: Window, rows: int, cols: int) -> Window:
    """Moves a window; its size stays."""
    return Window(window.row + rows, window.col + cols, window.height, window.width)


def expand(window: Window, pixels: Size) -> Window:
    """Grows a window by `pixels` on each of its four sides (shrinks, if negative)."""
    rows, cols = pair(pixels)
    return Window(
        window.row - rows,
        window.col - cols,
        window.height + 2 * rows,
        window.width + 2 * cols,
    )


def intersect(a: Window, b: Window) -> Window | None:
    """Returns the pixels of both windows, or None where they share none.

    >>> intersect(Window(0, 0, 4, 4), Window(2, 3, 9, 9))
    Window(row=2, col=3, height=2, width=1)
    """
    row, col = max(a.row, b.row), max(a.col, b.col)
    height = min(a.row_stop, b.row_stop) - row
    width = min(a.col_stop, b.col_stop) - col
    return Window(row, col, height, width) if height > 0 and width > 0 else None


def clip(window: Window, height: int, width: int) -> Window | None:
    """Returns the part of a window inside its scene, or None where none is.

    >>> clip(Window(-2, 6, 4, 4), 8, 8)
    Window(row=0, col=6, height=2, width=2)
    """
    return intersect(window, Window(0, 0, height, width))


def contains(outer: Window, inner: Window) -> bool:
    """Tells whether every pixel of `inner` lies in `outer`."""
    return intersect(outer, inner) == inner


def padding(
    window: Window, height: int, width: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns `((top, bottom), (left, right))`, what a window lacks at each edge.

    It is the `pad_width` that brings the array of `clip` back to the window's size.

    Raises:
        ValueError: a window that shares no pixel with the scene.

    >>> padding(Window(-2, 6, 4, 4), 8, 8)
    ((2, 0), (0, 2))
    """
    inside = clip(window, height, width)
    if inside is None:
        raise ValueError(f"{window} lies outside the scene of {height} x {width}")
    return (
        (inside.row - window.row, window.row_stop - inside.row_stop),
        (inside.col - window.col, window.col_stop - inside.col_stop),
    )
