"""The whole job in seconds: for tests, and to see that an installation works.

Command:  bash launch/run.sh --mode=run --config=configs/smoke.py --workdir=runs/smoke
Time:     20 seconds on 2 cores.
Score:    none worth the name.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns a run of ten steps on three small synthetic scenes."""
    config = default.get_config()
    config.data.synthetic.scenes = 3
    config.data.synthetic.height = 192
    config.data.synthetic.width = 160
    config.data.chip_size = 64
    config.predict.window = 64
    config.data.split.shares = (0.34, 0.33, 0.33)
    config.model.widths = (8, 16)
    config.train.steps = 10
    config.train.batch_size = 8
    config.train.evaluate_every = 5
    return config
