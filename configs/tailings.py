r"""Whole mining areas, or tailings alone, on 82 real Sentinel-2 tiles of Brazil.

Command:  bash launch/run.sh --mode=run --config=configs/tailings.py:maus \
              --workdir=runs/maus --config.data.root=PATH/tailings_s2_brazil
          and the same with `:tailings`.
Time:     under 10 minutes on 2 cores.
Score:    see the README's table.
"""

from ml_collections import ConfigDict

from configs import default

MASKS = {"maus": "mask_maus", "tailings": "mask_tailings_union"}


def get_config(task: str = "maus") -> ConfigDict:
    """Returns the run for `task`, `maus` (coarse outlines) or `tailings`."""
    if task not in MASKS:
        raise ValueError(f"tailings.py:{task}: expected one of {', '.join(MASKS)}")
    config = default.get_config()
    with config.unlocked():
        config.data.root = "../shared/data/tailings_s2_brazil"
    config.data.images = "{root}/img_u16"
    config.data.masks = "{root}/" + MASKS[task]
    config.data.table = "{root}/index.csv"
    config.data.table_key = "i"
    config.data.group_column = "group"
    config.data.exclude = ("img_23",)  # an image of 48 columns with a mask of 448
    # Tiles that nobody outlined show mines too: unlabelled, not negative.
    config.data.empty = "ignore" if task == "maus" else "negative"
    config.data.split.by = "group"
    config.data.split.shares = (0.6, 0.15, 0.25)
    config.data.chip_size = 224
    config.predict.window = 448
    config.predict.overlap = 0.25
    config.data.stride = 112
    config.augment.brightness = 0.3
    config.augment.gain = 0.1
    config.augment.zoom = 0.3
    config.model.stem = 2
    config.model.widths = (32, 64, 128, 256)
    config.model.residual = True
    config.model.bottom_dropout = 0.2
    config.train.steps = 600
    return config
