"""The peer's score: smp's U-Net ResNet-34, trained from scratch on the same splits.

    python -m benchmarks.peer_unet --workdir=runs/maus --minutes=10 --seed=0

Dice + BCE over 4 random crops of 256², the eight orientations, AdamW with a cosine: the
usual recipe of this field. Best step and threshold are chosen on the validation split,
scores come from the test split. Prints one line of JSON.

The budget is processor time over two: the minutes that two cores would take with
nothing else to do. Only training counts, so validation comes to the peer for free. On a
machine that has much else to do even processor time grows; --steps says then how many
the quiet one takes.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time

import numpy as np

from benchmarks import measure, peers, tiles

CROP, BATCH = 256, 4
VALIDATIONS = 10


def crops(training: list[tiles.Tile], generator: np.random.Generator) -> tiles.Tile:
    """Returns a batch of random crops, each turned and mirrored at random."""
    chosen = []
    for _ in range(BATCH):
        tile = training[generator.integers(len(training))]
        height, width = tile.weight.shape
        row = generator.integers(max(height - CROP, 0) + 1)
        col = generator.integers(max(width - CROP, 0) + 1)
        turns, flip = generator.integers(4), generator.integers(2)
        parts = []
        for array in tile:
            part = array[row : row + CROP, col : col + CROP]
            missing = [(0, CROP - n) for n in part.shape[:2]]
            part = np.pad(part, missing + [(0, 0)] * (part.ndim - 2))
            parts.append(np.rot90(part[:, ::-1] if flip else part, turns))
        chosen.append(parts)
    return tiles.Tile(*(np.stack(arrays) for arrays in zip(*chosen, strict=True)))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--workdir", required=True, help="of a prepared run")
    options.add_argument("--minutes", type=float, default=10, help="of two cores")
    options.add_argument("--steps", type=int, help="in place of minutes")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--learning_rate", type=float, default=1e-3)
    options.add_argument("--encoder", default="resnet34")
    options = options.parse_args()

    torch, smp = peers.torch(), peers.smp()
    torch.manual_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    data = tiles.prepared(options.workdir)
    training, validation = map(tiles.read, [data] * 2, ("train", "validation"))
    net = smp.Unet(
        options.encoder, encoder_weights=None, in_channels=len(data.bands), classes=1
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        net.parameters(), options.learning_rate, weight_decay=0.01
    )
    dice = smp.losses.DiceLoss("binary")

    def tensor(array: np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(array))

    def objective(batch: tiles.Tile):
        image, target, weight = map(tensor, batch)
        logits = net(image.permute(0, 3, 1, 2))[:, 0]  # [B, H, W, C] is channels_last
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        cross = entropy(logits, target, weight, reduction="sum") / weight.sum().clamp(1)
        counted = torch.where(weight > 0, logits, -1e4)  # such a pixel adds no overlap
        return cross + dice(counted[:, None], (target * weight)[:, None])

    @torch.no_grad()
    def predict(image: np.ndarray) -> np.ndarray:
        net.eval()
        height, width = image.shape[:2]
        missing = [(0, -n % 32) for n in (height, width)]
        padded = tensor(np.pad(image, [*missing, (0, 0)], mode="reflect"))
        logits = net(padded[None].permute(0, 3, 1, 2))[0, 0]
        return torch.sigmoid(logits)[:height, :width].numpy()

    spent = progress = 0.0
    step = checks = 0
    best = {"score": -1.0, "step": 0, "counts": None, "state": None}
    while progress < 1:
        began = time.process_time()
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * progress))
            group["lr"] = options.learning_rate * min(cosine, (step + 1) / 50)
        net.train()
        loss = objective(crops(training, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        spent, step = spent + (time.process_time() - began) / 2, step + 1
        by_time = spent / (60 * options.minutes)
        progress = step / options.steps if options.steps else by_time
        if progress < (checks + 1) / VALIDATIONS:
            continue
        checks += 1
        counts = tiles.histogram(validation, predict)
        score = tiles.scores(counts, counts)["iou"]
        if score > best["score"]:
            state = copy.deepcopy(net.state_dict())
            best = {"score": score, "step": step, "counts": counts, "state": state}
        print(
            f"step {step}, {spent / 60:.1f} min, loss {loss.item():.3f}, "
            f"validation IoU {score:.4f}",
            file=sys.stderr,
            flush=True,
        )
    net.load_state_dict(best["state"])
    counts = tiles.histogram(tiles.read(data, "test"), predict)
    facts = {
        "model": f"smp.Unet({options.encoder}) from scratch",
        "workdir": options.workdir,
        "seed": options.seed,
        "minutes": round(spent / 60, 2),
        "steps": step,
        "best_step": best["step"],
        **tiles.scores(best["counts"], counts),
        "device": measure.device(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
