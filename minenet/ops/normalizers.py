"""The normaliser that a configuration asks for, from statistics of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minenet.ops.normalize import Normalizer, fixed, minmax, percentile, zscore
from minenet.types import InputError

KINDS = ("zscore", "percentile", "minmax")
"""The kinds that `from_statistics` derives from the data, band by band."""

GLOBAL = "global_"
"""Before one of `KINDS`: one map for all bands, which keeps their differences."""


def from_statistics(
    kind: str | float | Sequence[float] | Mapping[str, Any],
    statistics: Mapping[str, Any],
) -> Normalizer:
    """Returns the normaliser that a configuration asks for.

    Args:
        kind: One of `KINDS`, alone or behind `GLOBAL`; the scale(s) to divide by; or
            one of `KINDS` with published numbers, such as `{"kind": "zscore", "mean":
            1051.2, "std": 1133.4}` (percentile and minmax: "low" and "high"), each one
            value or one a band.
        statistics: As `data.statistics` measures them over the training pixels:
            `{"bands": [{"mean", "std", "min", "max", "p2", "p98", ...}, ...]}`.

    Raises:
        InputError: If `kind` is none of these, or its numbers do not fit.

    >>> bands = [{"mean": 5.0, "std": 2.0, "min": 0.0, "max": 9.0}]
    >>> from_statistics("zscore", {"bands": bands}).offset
    array([5.], dtype=float32)
    """
    bands = statistics["bands"]
    if isinstance(kind, Mapping):
        return _published(kind, num_bands=len(bands))
    if isinstance(kind, str) and kind.removeprefix(GLOBAL) in _MAPS:
        if kind.startswith(GLOBAL):
            bands = _pooled(bands)
        make, _, names = _MAPS[kind.removeprefix(GLOBAL)]
        # A band without one valid training pixel has no statistics (null in JSON).
        return make(*(np.array([b[name] for b in bands], float) for name in names))
    if isinstance(kind, str):
        try:
            kind = float(kind)  # how a command line gives a number
        except ValueError:
            raise InputError(
                f"normalize={kind!r}: not known; choose {', '.join(KINDS)}, one of "
                f"these behind {GLOBAL!r}, or a number to divide by"
            ) from None
    return fixed(kind, num_bands=len(bands))


_MAPS = {
    "zscore": (zscore, ("mean", "std"), ("mean", "std")),
    "percentile": (percentile, ("low", "high"), ("p2", "p98")),
    "minmax": (minmax, ("low", "high"), ("min", "max")),
}
"""For each kind: what makes it, its arguments, and the statistics they are."""


def _published(values: Mapping[str, Any], *, num_bands: int) -> Normalizer:
    kind = values.get("kind")
    if kind not in _MAPS:
        raise InputError(f"normalize.kind={kind!r}: choose {', '.join(KINDS)}")
    make, names, _ = _MAPS[kind]
    if {*values} != {"kind", *names}:
        raise InputError(
            f"normalize={dict(values)}: {kind} is told by {' and '.join(names)}"
        )
    numbers = [np.asarray(values[name], np.float64) for name in names]
    for name, number in zip(names, numbers, strict=True):
        if number.shape not in ((), (num_bands,)):
            raise InputError(
                f"normalize.{name}: {number.size} values for {num_bands} bands; give "
                "one, or one a band"
            )
    spread = numbers[1] if kind == "zscore" else numbers[1] - numbers[0]
    if not (np.all(np.isfinite(numbers[0])) and np.all(spread > 0)):
        raise InputError(
            f"normalize={dict(values)}: must be finite, with a positive spread"
        )
    return make(*(np.broadcast_to(number, num_bands) for number in numbers))


def _pooled(bands: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Every band described as the pixels of all bands together.

    Percentiles of a mixture do not follow from those of its parts: the lowest and the
    highest stand for them, so that no band saturates more than it would alone.
    """
    known = [band for band in bands if band["mean"] is not None]
    if not known:
        return [
            dict.fromkeys(("mean", "std", "min", "max", "p2", "p98"), np.nan)
        ] * len(bands)
    count, mean, std = (
        np.array([band[name] for band in known], np.float64)
        for name in ("count", "mean", "std")
    )
    middle = np.average(mean, weights=count)
    variance = np.average(std**2 + (mean - middle) ** 2, weights=count)
    pooled = {
        "mean": middle,
        "std": np.sqrt(variance),
        **{name: min(band[name] for band in known) for name in ("min", "p2")},
        **{name: max(band[name] for band in known) for name in ("max", "p98")},
    }
    return [pooled] * len(bands)
