r"""Whole mining areas, or tailings alone, on 82 real Sentinel-2 tiles of Brazil.

Command:  bash launch/run.sh --mode=run --config=configs/tailings.py:maus \
              --workdir=runs/maus --config.data.root=PATH/tailings_s2_brazil
          and the same with `:tailings`.
Time:     8½ minutes on 2 cores.
Score:    test IoU .61 and .58 (two seeds) for maus, .43 and .41 for tailings.
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
    config.data.stride = 112
    config.sampling.positive_share = 0.0  # windows as they come: mines are many here
    config.augment.brightness = 0.3
    config.augment.contrast = 0.3
    config.augment.gain = 0.15
    config.augment.zoom = 0.3
    config.model.stem = 2
    config.model.widths = (24, 48, 96, 192, 256)
    config.model.norm = "batch"
    config.model.residual = True
    config.model.bottom_dropout = 0.2
    config.train.steps = 450
    config.predict.window = 448
    config.predict.overlap = 0.25
    config.predict.tta = True
    return config
