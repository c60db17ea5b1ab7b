r"""Synthetic scenes to a map and polygons, in minutes on a laptop.

Command:  bash launch/run.sh --mode=run --config=configs/quickstart.py \
              --workdir=runs/quickstart
Time:     under 5 minutes on 2 cores.
Score:    see the README's table.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns a run on eight synthetic scenes, one of them held out."""
    config = default.get_config()
    config.data.synthetic.scenes = 8
    config.data.synthetic.height = 768
    config.data.synthetic.width = 768
    config.data.chip_size = 192
    config.predict.window = 192
    config.data.stride = 96
    config.data.split.shares = (0.75, 0.125, 0.125)
    config.model.stem = 2
    config.model.widths = (32, 64, 128, 128)
    config.train.steps = 400
    config.train.evaluate_every = 100
    return config
