"""Which file belongs to which: partners found by the names of files alone.

Collections name the partners of a scene in many ways: `img_5` and `mask_5`, `s1_12` and
`nicfi_gt_12`, or the same stem in two folders. Each rule below turns names into keys; a
rule counts only where its keys tell all files of a set apart, so nothing is guessed
between two candidates.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path


def distinguish(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Returns what tells paths apart: their differing parts, joined by `_`.

    Parts that all paths share carry nothing; a path that is alone keeps its last part.

    >>> distinguish(["S1_train/AFTER", "S2_train/AFTER"])
    ['S1_train', 'S2_train']
    """
    parts = _stripped([Path(path).parts for path in paths], keep=1)
    return ["_".join(p) for p in parts]


def names(paths: Sequence[str]) -> list[str]:
    """Returns one name a file: its stem, led by differing folders where stems repeat.

    >>> names(["a/train/x_1.tif", "a/test/x_1.tif"])
    ['train_x_1', 'test_x_1']
    """
    stems = [Path(path).stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    folders = [os.path.dirname(path) for path in paths]
    different = sorted(set(folders))
    prefixes = dict(zip(different, distinguish(different), strict=True))
    led = [f"{prefixes[f]}_{stem}" for f, stem in zip(folders, stems, strict=True)]
    if len(set(led)) == len(led):
        return led
    # One stem with two suffixes in one folder: the suffix tells.
    return [f"{n}_{Path(p).suffix[1:]}" for n, p in zip(led, paths, strict=True)]


def number(name: str) -> str | None:
    """Returns the last number in a name without leading zeros, or None.

    >>> number("S1_after_0002")
    '2'
    """
    found = re.findall(r"\d+", name)
    return str(int(found[-1])) if found else None


def match(left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Pairs two sets of names by the first rule that leaves none of `left` alone.

    The rules: one name on each side; equal names; equal last numbers; equal words
    where the names of a set differ.

    Returns:
        Partner in `right` of each name in `left`; of the rule that pairs most, where
        none pairs all.

    >>> match(["img_5", "img_6"], ["mask_6", "mask_5"])
    {'img_5': 'mask_5', 'img_6': 'mask_6'}
    >>> match(["north", "south"], ["north_mask", "south_mask"])
    {'north': 'north_mask', 'south': 'south_mask'}
    """
    if len(left) == len(right) == 1:
        return {left[0]: right[0]}
    best: dict[str, str] = {}
    for rule in (list, _numbers, _remainders):
        ours, theirs = _inverse(rule(left), left), _inverse(rule(right), right)
        pairs = {ours[key]: theirs[key] for key in ours if key in theirs}
        if len(pairs) > len(best):
            best = pairs
        if len(best) == len(left):
            break
    return best


def _numbers(all_names: Sequence[str]) -> list:
    return [number(name) for name in all_names]


def _remainders(all_names: Sequence[str]) -> list:
    words = [tuple(re.findall(r"\d+|[^\W\d_]+", name)) for name in all_names]
    if len({len(w) for w in words}) == 1:
        tell = [len(set(column)) > 1 for column in zip(*words, strict=True)]
        words = [tuple(itertools.compress(w, tell)) for w in words]
    else:
        words = [tuple(w) for w in _stripped(words)]
    return [w or None for w in words]


def _stripped(parts: Sequence[Sequence[str]], keep: int = 0) -> list[Sequence[str]]:
    """Takes off what all begin or end with, as long as more than `keep` are left."""
    while min(map(len, parts)) > keep and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    while min(map(len, parts)) > keep and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    return list(parts)


def _inverse(keys: Sequence, all_names: Sequence[str]) -> dict:
    """Key → name, empty if a key is missing in part or not unique."""
    if len(set(keys)) < len(keys):
        return {}
    return {k: n for k, n in zip(keys, all_names, strict=True) if k is not None}
