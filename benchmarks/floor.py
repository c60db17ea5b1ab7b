"""The floor of any score: a random forest that sees colour and texture of each pixel.

    python -m benchmarks.floor --workdir=runs/maus --seed=0

What it reaches needs no shapes and no context. Its features are each band's value, and
its mean and standard deviation in windows of three sizes. Trained on pixels of the
training split, threshold chosen on the validation split, scored on the test split.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from scipy import ndimage

from benchmarks import measure, tiles

SIDES = (3, 9, 25)
"""Windows of the texture, in pixels."""


def features(image: np.ndarray) -> np.ndarray:
    """Returns `[H, W, C · (1 + 2 · len(SIDES))]` of `[H, W, C]`."""
    columns = [image]
    for side in SIDES:
        mean, square = (
            ndimage.uniform_filter(array, (side, side, 0), mode="reflect")
            for array in (image, image.astype(np.float64) ** 2)
        )
        deviation = np.sqrt(np.maximum(square - np.float64(mean) ** 2, 0))
        columns += [mean, deviation.astype(np.float32)]
    return np.concatenate(columns, axis=-1)


def sample(
    training: list[tiles.Tile], generator: np.random.Generator, *, pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns features and labels of random pixels, about as many of either label."""
    positives = sum(((t.weight > 0) & (t.target > 0)).sum() for t in training)
    negatives = sum(((t.weight > 0) & (t.target == 0)).sum() for t in training)
    rows, labels = [], []
    for tile in training:
        share = np.where(tile.target > 0, pixels / positives, pixels / negatives) / 2
        chosen = (generator.random(share.shape) < share) & (tile.weight > 0)
        rows.append(features(tile.image)[chosen])
        labels.append(tile.target[chosen] > 0)
    return np.concatenate(rows), np.concatenate(labels)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--workdir", required=True, help="of a prepared run")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--pixels", type=int, default=200_000, help="to learn from")
    options.add_argument("--trees", type=int, default=100)
    options.add_argument("--leaf", type=int, default=100, help="least pixels of a leaf")
    options = options.parse_args()

    from sklearn.ensemble import RandomForestClassifier

    data = tiles.prepared(options.workdir)
    forest = RandomForestClassifier(
        options.trees,
        min_samples_leaf=options.leaf,
        random_state=options.seed,
        n_jobs=2,
    )
    training = tiles.read(data, "train")
    generator = np.random.default_rng(options.seed)
    forest.fit(*sample(training, generator, pixels=options.pixels))

    def predict(image: np.ndarray) -> np.ndarray:
        columns = features(image)
        flat = columns.reshape(-1, columns.shape[-1])
        return forest.predict_proba(flat)[:, 1].reshape(image.shape[:2])

    validation, test = (
        tiles.histogram(tiles.read(data, split), predict)
        for split in ("validation", "test")
    )
    facts = {
        "model": f"random forest, {options.trees} trees, colour and texture",
        "workdir": options.workdir,
        "seed": options.seed,
        **tiles.scores(validation, test),
        "device": measure.device(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
