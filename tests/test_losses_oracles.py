"""The losses beside those of optax, PyTorch, smp and MONAI: values and gradients."""

import functools
import importlib
import importlib.util
import warnings

import jax
import numpy as np
import optax
import pytest

from benchmarks import peers
from minenet import losses
from tests.test_losses import data, jit, run

optax_losses = optax.losses


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch absent: install oracles")


@pytest.fixture(scope="module")
def smp(torch):
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        pytest.skip("smp absent: benchmarks/install_peers.sh")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What its imports warn of is not ours.
        return peers.smp().losses


@pytest.fixture(scope="module")
def monai(torch):
    pytest.importorskip("monai", reason="monai absent: benchmarks/install_peers.sh")
    return importlib.import_module("monai.losses")


def blobs(task, size=24):
    """Returns inputs `[3, size, size, K]` with regions, all of weight 1."""
    logits, target, _ = data(task, shape=(3, size // 6, size // 6))
    target, logits = (np.kron(x, np.ones((1, 6, 6, 1))) for x in (target, logits))
    noise = np.random.default_rng(2).normal(0, 1, logits.shape)
    return (logits + noise).astype(np.float32), target.astype(np.float32)


def agree(torch, inputs, name, options, theirs, *, labels=False, **tolerance):
    """Compares value and gradient with `theirs(logits, target)` in NCHW."""
    logits, target = inputs
    loss = functools.partial(getattr(losses, name), **options)
    value, gradient = jit(jax.value_and_grad(loss))(logits, target)
    x = torch.tensor(np.moveaxis(logits, -1, 1), requires_grad=True)
    t = torch.tensor(target.argmax(-1) if labels else np.moveaxis(target, -1, 1))
    expected = theirs(x, t)
    expected.backward()
    slope = np.moveaxis(x.grad.numpy(), 1, -1)
    tolerance = {"rtol": 2e-4, "atol": 1e-7} | tolerance
    np.testing.assert_allclose(value, expected.item(), **tolerance)
    np.testing.assert_allclose(
        gradient, slope, rtol=2e-3, atol=1e-4 * np.abs(slope).max()
    )


SIGMOID, SOFTMAX = {"activation": "sigmoid"}, {"activation": "softmax"}


def test_optax():
    logits, target, _ = data("multilabel")
    same = functools.partial(np.testing.assert_allclose, rtol=1e-5)
    expected = optax_losses.sigmoid_binary_cross_entropy(logits, target).mean(-1)
    same(run("bce", logits, target, reduction="none"), expected)
    expected = optax_losses.sigmoid_focal_loss(
        logits, target, alpha=0.3, gamma=1.5
    ).mean(-1)
    options = {"alpha": 0.3, "gamma": 1.5, "reduction": "none"}
    same(run("focal", logits, target, **SIGMOID, **options), expected)
    smooth = optax_losses.smooth_labels(target, 0.1)
    expected = optax_losses.softmax_cross_entropy(logits, smooth)
    value = run("cross_entropy", logits, target, smoothing=0.1, reduction="none")
    same(value, expected)


def test_entropies_of_torch(torch):
    functional = torch.nn.functional
    weight = torch.tensor([1.0, 2.0, 5.0])
    agree(
        torch,
        blobs("multilabel"),
        "bce",
        {"positive_weight": (1, 2, 5)},
        lambda x, t: functional.binary_cross_entropy_with_logits(
            x, t, pos_weight=weight[:, None, None]
        ),
    )
    agree(
        torch,
        blobs("exclusive"),
        "cross_entropy",
        {"class_weight": (1, 2, 5), "smoothing": 0.1},
        lambda x, t: functional.cross_entropy(
            x, t, weight, reduction="none", label_smoothing=0.1
        ).mean(),
        labels=True,
    )


@pytest.mark.parametrize("task", ["binary", "exclusive", "multilabel"])
def test_overlaps_of_smp(torch, smp, task):
    mode = {"exclusive": "multiclass"}.get(task, task)
    check = functools.partial(agree, torch, blobs(task), labels=task == "exclusive")
    own = SOFTMAX if task == "exclusive" else SIGMOID
    # smp adds its smooth to the overlap, we ours to twice the overlap.
    check("dice", own | {"smooth": 2.0}, smp.DiceLoss(mode, smooth=1.0))
    check("jaccard", own, smp.JaccardLoss(mode, smooth=1.0))
    options = {"alpha": 0.2, "beta": 0.6}
    check("tversky", own | options, smp.TverskyLoss(mode, smooth=1.0, **options))


def test_focal_of_smp_and_monai(torch, smp, monai):
    for task in ("binary", "multilabel"):
        # smp sums over classes.
        classes = 1 if task == "binary" else 3
        agree(
            torch,
            blobs(task),
            "focal",
            SIGMOID | {"alpha": 0.55},
            lambda x, t, task=task, n=classes: smp.FocalLoss(task, alpha=0.55)(x, t),
        )
    theirs = monai.FocalLoss(use_softmax=True, gamma=2.0, alpha=0.3, reduction="none")
    agree(
        torch,
        blobs("exclusive"),
        "focal",
        SOFTMAX | {"alpha": 0.3},
        lambda x, t: theirs(x, t).sum(1).mean(),
    )


def test_lovasz_of_smp(torch, smp):
    for task in ("binary", "exclusive"):
        options = SOFTMAX if task == "exclusive" else SIGMOID
        mode = "multiclass" if task == "exclusive" else task
        for over in ("batch", "sample"):
            agree(
                torch,
                blobs(task),
                "lovasz",
                options | {"over": over},
                smp.LovaszLoss(mode, per_image=over == "sample"),
                labels=task == "exclusive",
            )


def test_mcc_of_smp(torch, smp):
    # smp takes probabilities.
    agree(
        torch,
        blobs("binary"),
        "mcc",
        SIGMOID,
        lambda x, t: smp.MCCLoss()(x.sigmoid(), t),
    )


@pytest.mark.parametrize("over", ["batch", "sample"])
def test_generalised_dice_of_monai(torch, monai, over):
    theirs = monai.GeneralizedDiceLoss(
        softmax=True, batch=over == "batch", smooth_nr=1e-12, smooth_dr=1e-12
    )
    options = SOFTMAX | {"over": over, "smooth": 1e-9}
    agree(torch, blobs("exclusive"), "generalised_dice", options, theirs)


def test_dice_with_squares_and_bce_of_monai(torch, monai):
    theirs = monai.DiceLoss(
        sigmoid=True, squared_pred=True, batch=True, smooth_nr=1.0, smooth_dr=1.0
    )
    agree(torch, blobs("binary"), "dice", SIGMOID | {"squared": True}, theirs)
    theirs = monai.DiceCELoss(
        sigmoid=True,
        smooth_nr=1.0,
        smooth_dr=1.0,
        lambda_dice=0.7,
        lambda_ce=0.3,
    )
    options = {"factors": (0.3, 0.7), "over": "sample"}
    agree(torch, blobs("binary"), "bce_dice", options, theirs)


@pytest.mark.parametrize("task", ["binary", "exclusive"])
def test_distances_of_monai(torch, monai, task):
    own = SOFTMAX if task == "exclusive" else SIGMOID
    kind = {own["activation"]: True, "include_background": True}
    inputs = blobs(task)
    agree(torch, inputs, "hausdorff_dt", own, monai.HausdorffDTLoss(**kind))
    logits, target = inputs
    theirs = monai.BoundaryLoss(**kind)
    distance = losses.signed_distance(target)
    expected = theirs.compute_distance_map(torch.tensor(np.moveaxis(target, -1, 1)))
    np.testing.assert_allclose(distance, np.moveaxis(expected.numpy(), 1, -1), 1e-5)
    agree(
        torch,
        (logits, np.array(distance)),
        "boundary",
        own,
        lambda x, t: theirs(x, torch.tensor(np.moveaxis(target, -1, 1))),
    )


def test_centre_lines_of_monai(torch, monai):
    theirs = monai.SoftclDiceLoss(sigmoid=True, smooth=1e-12)
    agree(torch, blobs("binary"), "cldice", SIGMOID | {"over": "sample"}, theirs)


def test_unified_focal_of_monai(torch, monai):
    """MONAI averages the pixels' costs over both classes, the paper sums them."""
    module = importlib.import_module("monai.losses.unified_focal_loss")
    pixels = module.AsymmetricFocalLoss(delta=0.6, gamma=0.5)
    regions = module.AsymmetricFocalTverskyLoss(delta=0.6, gamma=0.5)

    def theirs(x, t):
        p = x.sigmoid()
        p, t = (torch.cat([1 - a, a], dim=1) for a in (p, t))
        return 0.3 * 2 * pixels(p, t) + 0.7 * regions(p, t)

    agree(torch, blobs("binary"), "unified_focal", SIGMOID | {"share": 0.3}, theirs)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_robust_ones_by_autograd(torch, mode):
    def bootstrapped(x, t):
        p = x.softmax(1)
        beta = 0.95 if mode == "soft" else 0.8
        hard = torch.nn.functional.one_hot(p.argmax(1), 3).movedim(-1, 1)
        t = beta * t + (1 - beta) * (p if mode == "soft" else hard)
        return -(t * x.log_softmax(1)).sum(1).mean()

    options = SOFTMAX | {"mode": mode}
    agree(torch, blobs("exclusive"), "bootstrapped", options, bootstrapped)

    def generalised(x, t):
        return ((1 - (x.softmax(1) * t).sum(1) ** 0.7) / 0.7).mean()

    name = "generalised_cross_entropy"
    agree(torch, blobs("exclusive"), name, SOFTMAX, generalised)


@pytest.mark.parametrize("task", ["binary", "exclusive"])
def test_entropies_of_scikit_learn(task):
    sklearn = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn absent: install oracles"
    )
    logits, target, weight = data(task)
    if task == "binary":
        probability = np.asarray(jax.nn.sigmoid(logits[..., 0]), np.float64).ravel()
        label, name = target[..., 0], "bce"
    else:
        probability = np.asarray(jax.nn.softmax(logits), np.float64).reshape(-1, 3)
        probability /= probability.sum(-1, keepdims=True)
        label, name = target.argmax(-1), "cross_entropy"
    expected = sklearn.log_loss(
        label.ravel(), probability, sample_weight=weight.ravel()
    )
    np.testing.assert_allclose(run(name, logits, target, weight), expected, rtol=1e-5)
