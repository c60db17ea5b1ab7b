"""The published runs: their networks in full size, and each as a whole, narrowed."""

import importlib
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rasterio

from configs import default
from launch import settings, stored
from minenet import losses, models
from minenet.infer import bundle
from minenet.train import report
from minenet.types import InputError
from tests import tiles
from tests.test_launcher import launch

PLANET = ("blue", "green", "red", "nir")
LANDSAT = (*PLANET, "swir1", "swir2", "thermal")

# Configuration, its argument, bands of each folder, channels, published parameters.
RUNS = [
    ("surface_mines", "plain", [12], 12, 125_837_713),
    ("surface_mines", "deepsense", [12], 12, 2_179_617),
    ("asm_fusion", "late", [2, 4], 9, 77_688_617),
    ("asm_fusion", "early", [2, 4], 9, 24_455_185),
    ("asm_fusion", "planet", [4], 7, 24_562_904),
    ("asm_fusion", "s1", [2], 2, 24_547_224),
    ("mining_net", "base64", [7], 7, 31_045_825),
    ("mining_net", "base64_depth2", [7], 7, 1_867_713),
    ("mining_net", "base128", [7], 7, 497_469_825),
    ("deforestation", "large", [3], 3, 124_424_995),
    ("deforestation", "full_scale", [3], 3, 15_369_395),
    ("buildings", "crowdai", [3], 3, 44_645),
    ("buildings", "dstl", [16], 16, 7_862_177),
]


@pytest.mark.parametrize(
    ("name", "argument", "folders", "channels", "parameters"),
    RUNS,
    ids=[f"{name}:{argument}" for name, argument, *_ in RUNS],
)
def test_a_run_has_the_network_of_its_source(
    name, argument, folders, channels, parameters
):
    config = importlib.import_module(f"configs.{name}").get_config(argument)
    found = settings.resolve(config.to_dict())
    assert sum(folders) + len(found["indices"]) == channels
    options, classes = dict(found["model"]), found["data"]["classes"]
    model = models.build(options.pop("name"), num_classes=len(classes), **options)
    # As many rows as the most poolings need.
    image = jax.ShapeDtypeStruct((1, 128, 128, channels), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    counted = {"params"} if argument not in ("deepsense", "dstl") else {*variables}
    leaves = jax.tree.leaves({kind: variables[kind] for kind in counted})
    assert sum(leaf.size for leaf in leaves) == parameters


@pytest.mark.parametrize("name", sorted({name for name, *_ in RUNS}))
def test_a_run_keeps_its_own_configuration(name, tmp_path):
    config = importlib.import_module(f"configs.{name}").get_config()
    found = settings.resolve(config.to_dict())
    settings.claim(tmp_path, found)
    again = settings.resolve(stored.get_config(str(tmp_path)).to_dict())
    assert settings.claim(tmp_path, again) == []


@pytest.mark.parametrize("name", models.names())
def test_the_defaults_take_any_network(name):
    options = default.get_config(name).model.to_dict()
    built = models.build(options.pop("name"), num_classes=2, **options)
    assert built == models.build(name, num_classes=2)


@pytest.mark.parametrize("name", [*losses.names(), "dice+focal"])
def test_the_defaults_take_any_loss(name):
    options = default.get_config(f"unet,{name}").loss.to_dict()
    task = "exclusive" if "cross_entropy" in name else "binary"
    loss = losses.build(options.pop("name"), task=task, **options)
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(1, 8, 8, 2)).astype(np.float32)
    target = np.eye(2, dtype=np.float32)[draw.integers(0, 2, (1, 8, 8))]
    plain = losses.build(name, task=task)
    np.testing.assert_array_equal(loss(logits, target), plain(logits, target))


@pytest.mark.parametrize(
    "name", ["surface_mines", "asm_fusion", "mining_net", "deforestation", "buildings"]
)
def test_an_argument_that_a_configuration_lacks_is_named(name):
    with pytest.raises(ValueError, match=rf"{name}.py:huge: expected one of .*\w"):
        importlib.import_module(f"configs.{name}").get_config("huge")


ENCODER = {"encoder": "resnet18", "encoder_width": 4, "decoder_widths": (4,) * 5}
FUSION = [("vv", "vh"), PLANET]
UNITS = {PLANET: 4000, 16: 2047}
"""What makes numbers from 0 to 1 those that a configuration normalises."""
# Configuration with its argument, the bands of each folder, and what makes it small.
WHOLE = [
    ("asm_fusion:late", FUSION, ENCODER),
    ("mining_net:base64", [LANDSAT], {"widths": (4, 6, 8)}),
    ("surface_mines:plain", [12], {"widths": (2,) * 8}),
    ("deforestation:large", [3], {"widths": (4, 6, 8)}),
    ("buildings:crowdai", [3], {"width": 4, "dilations": (1, 2, 4)}),
    ("surface_mines:deepsense", [12], {"width": 4}),
    ("asm_fusion:early", FUSION, ENCODER),
    ("asm_fusion:planet", [PLANET], ENCODER),
    ("asm_fusion:s1", [("vv", "vh")], ENCODER),
    ("deforestation:full_scale", [3], {"widths": (4, 6, 8)}),
    ("buildings:dstl", [16], {"widths": (4, 6, 8)}),
    ("flood_fusion:dropout", [1, 3], ENCODER),
    ("flood_fusion:s2", [1, 3], ENCODER),
]


def run(folder, name, folders, small, workdir, **further):
    """Runs a configuration, narrowed, on six sites of noise."""
    config = importlib.import_module(f"configs.{name.partition(':')[0]}")
    values = [*(config.get_config().data["values"] or {0: 0, 1: 1})][1:]
    for i in range(6):
        place = {"transform": tiles.at(x_m=200_000 * i)}  # each a block of its own
        for k, bands in enumerate(folders):
            count = bands if isinstance(bands, int) else len(bands)
            image = np.random.default_rng([i, k]).normal(0.5, 0.2, (128, 128, count))
            image *= UNITS.get(bands, 1)
            names = None if isinstance(bands, int) else bands
            path = folder / f"{k}/site_{i}.tif"
            tiles.save(path, image.astype(np.float32), names=names, **place)
        labels = tiles.mask(128, 128, seed=i) * np.uint8(values[i % len(values)])
        tiles.save(folder / f"gt/site_{i}.tif", labels, **place)
    images = tuple(str(folder / str(k)) for k in range(len(folders)))
    changes = {
        "data.images": images if len(images) > 1 else images[0],
        "data.masks": folder / "gt",
        "data.chip_size": 128,
        "data.stride": 128,
        "data.split.shares": (0.4, 0.3, 0.3),
        "train.steps": 3,
        "train.batch_size": 2,
        "train.evaluate_every": 3,
        "predict.window": 128,
        "predict.batch_size": 2,
        **{f"model.{option}": value for option, value in small.items()},
        **further,
    }
    done = launch(
        "--mode=run",
        f"--config=configs/{name.replace(':', '.py:')}",
        f"--workdir={workdir}",
        *(f"--config.{key}={value}" for key, value in changes.items()),
        # Half of the time would go into making code fast that runs three times.
        XLA_FLAGS="--xla_backend_optimization_level=0",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "folders", "small"),
    [
        pytest.param(*each, id=each[0], marks=[pytest.mark.slow] if i != 1 else [])
        for i, each in enumerate(WHOLE)
    ],
)
def test_a_published_run_works_from_rasters_to_maps(tmp_path, name, folders, small):
    workdir = tmp_path / "run"
    run(tmp_path, name, folders, small, workdir)
    (entry,) = report.read(workdir / "metrics.jsonl")
    assert entry["step"] == 3 and math.isfinite(entry["validation_loss"])
    scores = json.loads((workdir / "evaluation.json").read_text())["classes"]
    assert all(each["pixels"] > 0 for each in scores.values())
    maps = sorted((workdir / "predictions").glob("*_probability.tif"))
    assert maps
    for path in maps:
        with rasterio.open(path) as file:
            probability = file.read()
        assert probability.shape == (len(scores), 128, 128)
        assert ((probability >= 0) & (probability <= 1)).all()


@pytest.mark.slow
def test_streams_start_from_runs_of_their_own(tmp_path):
    still = {"optimizer.learning_rate": 1e-30}
    for name, bands in (("s1", FUSION[0]), ("planet", FUSION[1])):
        workdir = tmp_path / f"run_{name}"
        run(tmp_path / name, f"asm_fusion:{name}", [bands], ENCODER, workdir)
    folders = tuple(str(tmp_path / f"run_{name}/model") for name in ("s1", "planet"))
    workdir = tmp_path / "run"
    further = {"start.streams": folders, **still}
    run(tmp_path / "late", "asm_fusion:late", FUSION, ENCODER, workdir, **further)
    fused, *alone = (
        bundle.load(Path(path)).variables["params"]
        for path in (workdir / "model", *folders)
    )
    for stream, standalone in enumerate(alone):
        jax.tree.map(
            np.testing.assert_array_equal,
            fused[f"stream_{stream}"],
            standalone["encoder"],
        )


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("optimizer", "name", "sgd"), ("start", "weights", "w.pth"), ("loss", "name", "")],
)
def test_a_begun_run_keeps_what_it_was_begun_with(tmp_path, section, key, value):
    found = settings.resolve(default.get_config().to_dict())
    settings.claim(tmp_path, found)
    longer = found | {"train": found["train"] | {"steps": 9}}
    assert settings.claim(tmp_path, longer) == ["train.steps: 2000 → 9"]
    other = found | {section: found[section] | {key: value}}
    prepared = found | {"data": found["data"] | {"chip_size": 9}}
    with pytest.raises(InputError, match=r"other settings \(data.chip_size: 256 → 9\)"):
        settings.claim(tmp_path, prepared)
    told = settings.claim(tmp_path, other)  # nothing is trained yet
    assert any(line.startswith(f"{section}.{key}: ") for line in told)
    settings.claim(tmp_path, found)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match=rf"other settings \(.*{section}.{key}: .* → "):
        settings.claim(tmp_path, other)
