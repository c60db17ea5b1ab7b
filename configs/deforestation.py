r"""Forest, clearings and the rest from RGB screenshots: Deforestation-Detection.

Command:  bash launch/run.sh --mode=run --config=configs/deforestation.py \
              --workdir=runs/forest --config.data.images=images \
              --config.data.masks=masks
Time:     hours on a TPU of 8 cores: 124 million parameters, 300 epochs and more.
Score:    validation soft IoU of its source .66, soft F1 .71; .52 ± .03 over k folds
          (Vorotyntsev et al. 2021, doi 10.1109/UKRCON53503.2021.9575783).

Images of 512×512 pixels, 8 bits; masks of 0 forest, 1 deforestation, 2 other. The
source's masks are colours: `minenet.ops.palette` makes classes of them. `:small` and
`:medium` have its bottlenecks of 512 and 1024 channels, `:full_scale` its experimental
network.
"""

from ml_collections import ConfigDict

from configs import default

BOTTLENECKS = {"small": 512, "medium": 1024, "large": 2048}


def get_config(size: str = "large") -> ConfigDict:
    """Returns the published run of a network of `size`."""
    if size not in (*BOTTLENECKS, "full_scale"):
        expected = ", ".join((*BOTTLENECKS, "full_scale"))
        raise ValueError(f"deforestation.py:{size}: expected one of {expected}")
    known = size in BOTTLENECKS
    config = default.get_config("deforestation_unet" if known else "full_scale_unet")
    if known:
        levels = (32, 64, 128, 256, 512, 1024, 2048)
        config.model.widths = tuple(w for w in levels if w <= BOTTLENECKS[size])
    config.data.task = "exclusive"
    config.data.classes = ("forest", "deforestation", "other")
    config.data.values = {0: 0, 1: 1, 2: 2}
    config.data.chip_size = 512
    config.sampling.positive_share = 0.0
    config.sampling.jitter = False
    config.normalize = 255.0
    config.augment.flips = False
    config.augment.turns = False
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.loss = ConfigDict(
        {
            "name": "tversky_dice_hybrid",
            "class_weight": (0.4, 2.2, 0.4),
            "offset": 3.0,
        }
    )
    config.optimizer.name = "rmsprop"
    config.optimizer.convention = "keras"
    config.optimizer.rho = 0.9
    config.optimizer.learning_rate = 1e-5
    config.optimizer.warmup = 0.0
    config.optimizer.clip = 0.0
    config.optimizer.schedule.name = "constant"
    config.train.steps = 1500  # 300 epochs of 276 images
    config.train.batch_size = 64  # 8 for each core
    config.train.evaluate_every = 5  # an epoch
    config.train.ema_decay = 0.0
    config.predict.window = 512
    return config
