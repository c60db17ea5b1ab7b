"""All scores of a split: minenet's one pass and, on request, its peers' many.

    python -m benchmarks.metrics
    python -m benchmarks.metrics --peer
    python -m benchmarks.metrics --samples=16 --side=1024

minenet counts on the device, in one compiled call, and derives every score from the
counts on the host; its time is from the maps on the device to numbers. The peers take
each score by itself: scikit-learn the exact ones, torchmetrics both the exact ones and
those with as many thresholds as minenet has bins. Everyone gets arrays as it likes them
best: flat, of its own library, labels as integers.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import measure

CASES = {"binary": 1, "exclusive": 3}
"""How many classes each case has."""
OWN = "the full set, one pass"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--peer", action="store_true", help="peers in the same run")
    options.add_argument("--samples", type=int, default=2)
    options.add_argument("--side", type=int, default=512)
    options.add_argument("--repeats", type=int, default=5, help="calls a process")
    options.add_argument("--rounds", type=int, default=1, help="processes a library")
    options = options.parse_args()

    libraries = ["minenet"]
    if options.peer:
        libraries += ["scikit-learn", "torchmetrics", "torchmetrics binned"]
    rows = []
    for case in CASES:
        common = {"case": case, "size": options.samples, "side": options.side}
        common |= {"repeats": options.repeats}
        found = measure.alternate(
            "benchmarks.metrics",
            {name: {"library": name, **common} for name in libraries},
            rounds=options.rounds,
        )
        own = np.median(found["minenet"]["seconds " + OWN])
        for library, facts in found.items():
            total = 0.0
            for name, times in facts.items():
                if not name.startswith("seconds "):
                    continue
                total += np.median(times)
                spread = measure.spread(times, factor=1e3)
                ratio = f"{np.median(times) / own:.1f}"
                name = name.removeprefix("seconds ")
                rows.append((case, library, name, spread, ratio))
            if library != "minenet":
                sums = f"{total * 1e3:.0f}", f"**{total / own:.1f}**"
                rows.append((case, library, "**sum**", *sums))
    pixels = options.samples * options.side**2 / 1e6
    print(f"{pixels:.1f} Mpx on {facts['device']}. Medians (quartiles).\n")
    print(measure.table(["case", "library", "score", "ms", "× minenet"], rows))


def maps(*, case: str, size: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities `[size, side, side, K]` and labels `[size, side, side]`."""
    generator = np.random.default_rng(0)
    classes = max(CASES[case], 2)
    label = (generator.random((size, side, side)) * classes * 1.6).astype(np.int64)
    label = np.where(label < classes, label, 0)
    if case == "binary":
        noise = generator.normal(0, 0.2, label.shape)
        return np.clip(0.3 + 0.3 * label + noise, 0, 1).astype(np.float32), label
    score = generator.normal(0, 1, (*label.shape, classes)).astype(np.float32)
    score = np.exp(score + 1.5 * np.eye(classes, dtype=np.float32)[label])
    return score / score.sum(-1, keepdims=True), label


def minenet(
    case: str, probability: np.ndarray, label: np.ndarray
) -> dict[str, Callable[[], Any]]:
    """Returns the one call that gives every score."""
    import jax

    from minenet import metrics

    if case == "binary":
        probability, target = probability[..., None], label[..., None]
    else:
        target = np.eye(CASES[case])[label]
    data = jax.device_put(
        (probability, target.astype(np.float32), np.ones(label.shape, np.float32))
    )

    @jax.jit
    def count(*data: jax.Array) -> dict[str, jax.Array]:
        sums = {
            "histogram": metrics.histogram(*data),
            "soft": metrics.soft_sums(*data),
        }
        if case == "exclusive":
            sums["confusion"] = metrics.confusion(*data)
        return sums

    def call() -> dict[str, Any]:
        sums = jax.device_get(count(*data))
        histogram, soft = sums["histogram"], sums["soft"]
        scores = {
            "scores": metrics.summary(histogram),
            "f2": metrics.f_beta(histogram, beta=2),
            "curve": metrics.curve(histogram),
            "filter": metrics.confidence_filter(histogram),
            "threshold": metrics.best_threshold(histogram),
            "reliability": metrics.reliability(histogram),
            "brier": metrics.brier(soft),
            "log loss": metrics.log_loss(soft, exclusive=case == "exclusive"),
            "soft": (metrics.soft_iou(soft), metrics.soft_f1(soft)),
        }
        if case == "exclusive":
            confusion = sums["confusion"]
            scores["hard"] = metrics.summary(metrics.one_vs_rest(confusion))
            scores["mcc"] = metrics.multiclass_mcc(confusion)
            scores["kappa"] = metrics.multiclass_kappa(confusion)
        return scores

    return {OWN: call}


def sklearn(
    case: str, probability: np.ndarray, label: np.ndarray
) -> dict[str, Callable[[], Any]]:
    """Returns a call of scikit-learn for each score."""
    from sklearn import metrics

    label = label.ravel()
    if case == "binary":
        p, average = probability.ravel(), "binary"
        found, ranked = (p >= 0.5).astype(np.int64), (label, p)
    else:
        p, average = probability.reshape(label.size, -1), "macro"
        found, ranked = p.argmax(-1), (np.eye(p.shape[-1], dtype=np.int8)[label], p)
    hard = {
        "IoU": functools.partial(metrics.jaccard_score, average=average),
        "F1": functools.partial(metrics.f1_score, average=average),
        "F2": functools.partial(metrics.fbeta_score, beta=2, average=average),
        "precision": functools.partial(metrics.precision_score, average=average),
        "recall": functools.partial(metrics.recall_score, average=average),
        "accuracy": metrics.accuracy_score,
        "balanced accuracy": metrics.balanced_accuracy_score,
        "MCC": metrics.matthews_corrcoef,
        "kappa": metrics.cohen_kappa_score,
    }
    soft = {
        "AP, exact": metrics.average_precision_score,
        "AUROC, exact": metrics.roc_auc_score,
    }
    calls = {name: functools.partial(f, label, found) for name, f in hard.items()}
    calls |= {name: functools.partial(f, *ranked) for name, f in soft.items()}
    calls["Brier"] = functools.partial(metrics.brier_score_loss, label, p)
    calls["log loss"] = functools.partial(metrics.log_loss, label, p)
    if case == "binary":
        curve = metrics.precision_recall_curve
        calls["curve, exact"] = functools.partial(curve, *ranked)
    return calls


def torchmetrics(
    case: str, probability: np.ndarray, label: np.ndarray, *, bins: int | None = None
) -> dict[str, Callable[[], Any]]:
    """Returns a call of torchmetrics for each score; of ranking alone if binned."""
    from benchmarks import peers

    torch, of = peers.torch(), peers.torchmetrics()
    classes, kind = CASES[case], "binary" if case == "binary" else "multiclass"
    label = torch.from_numpy(label.ravel())
    p = torch.from_numpy(
        probability.reshape(*label.shape, *([classes] * (classes > 1)))
    )
    several = {"num_classes": classes} if classes > 1 else {}
    # What it would check costs a pass over all pixels each time.
    several["validate_args"] = False
    macro = {"average": "macro"} if classes > 1 else {}

    def call(name: str, **keywords: Any) -> Callable[[], Any]:
        score = getattr(of, f"{kind}_{name}")
        return functools.partial(score, p, label, **several, **keywords)

    ranking = {
        "AP": call("average_precision", thresholds=bins, **macro),
        "AUROC": call("auroc", thresholds=bins, **macro),
        "curve": call("precision_recall_curve", thresholds=bins),
    }
    if bins:
        return {f"{name}, {bins} thresholds": f for name, f in ranking.items()}
    return {
        "IoU": call("jaccard_index", **macro),
        "F1": call("f1_score", **macro),
        "F2": call("fbeta_score", beta=2.0, **macro),
        "precision": call("precision", **macro),
        "recall": call("recall", **macro),
        "specificity": call("specificity", **macro),
        "accuracy": call("accuracy", **macro),
        "MCC": call("matthews_corrcoef"),
        "kappa": call("cohen_kappa"),
        "ECE": call("calibration_error", n_bins=16),
        **{f"{name}, exact": f for name, f in ranking.items()},
    }


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Does the lines of one library in this process."""
    from minenet.metrics import BINS

    library, repeats = task.pop("library"), task.pop("repeats")
    data = maps(**task)
    calls = {
        "minenet": minenet,
        "scikit-learn": sklearn,
        "torchmetrics": torchmetrics,
        "torchmetrics binned": functools.partial(torchmetrics, bins=BINS),
    }[library](task["case"], *data)
    # A pass a threshold takes minutes: once must do.
    slow = library == "torchmetrics binned"
    times = {
        f"seconds {name}": measure.seconds(
            call, warmup=0 if slow else 1, repeats=1 if slow else repeats
        )
        for name, call in calls.items()
    }
    return {**times, "device": measure.device()}


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(work(json.loads(sys.argv[1]))))
    else:
        main()
