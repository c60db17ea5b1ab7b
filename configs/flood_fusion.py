r"""Floods from radar and optical pairs: late fusion, each sensor alone, any subset.

Command:  bash launch/run.sh --mode=run --config=configs/flood_fusion.py:fusion \
              --workdir=runs/fusion --config.data.root=PATH/ombria_s1s2_flood
          and the same with `:s1`, `:s2` and `:dropout`, one checkpoint for both or
          either: --mode=evaluate --config.predict.missing='(1,)' scores it without S1.
Time:     three to five minutes on 2 cores.
Score:    test IoU .58 and .61 (two seeds) for both, .40 and .29 for Sentinel-1, .28 and
          .48 for Sentinel-2.
"""

from ml_collections import ConfigDict

from configs import default

S1, S2 = (0,), (1, 2, 3)
STREAMS = {"fusion": (S1, S2), "dropout": (S1, S2), "s1": S1, "s2": S2}


def get_config(sensors: str = "fusion") -> ConfigDict:
    """Returns the run on both sensors, on one, or with a sensor dropped at random."""
    if sensors not in STREAMS:
        raise ValueError(f"flood_fusion.py:{sensors}: expected one of {[*STREAMS]}")
    both = sensors in ("fusion", "dropout")
    config = default.get_config("late_fusion" if both else "resnet_unet")
    with config.unlocked():
        config.data.root = "../shared/data/ombria_s1s2_flood"
    config.data.images = ("{root}/S1_train/AFTER", "{root}/S2_train/AFTER")
    config.data.masks = "{root}/S1_train/MASK"
    config.data.values = {0: 0, 255: 1}
    config.data.classes = ("flood",)
    config.data.split.shares = (0.6, 0.15, 0.25)
    config.data.chip_size = 128
    config.data.stride = 128
    config.sampling.positive_share = 0.0
    config.augment.brightness = 0.2
    config.augment.contrast = 0.2
    config.augment.zoom = 0.2
    config.model.encoder = "resnet18"
    config.model.encoder_width = 16
    config.model.decoder_widths = (16, 16, 32, 64, 128)
    if both:
        config.model.streams = STREAMS[sensors]
        config.model.full_resolution = True
        config.model.sensor_dropout = 0.5 if sensors == "dropout" else 0.0
    else:
        config.data.bands = tuple(band + 1 for band in STREAMS[sensors])
    config.optimizer.learning_rate = 1e-3
    config.train.steps = 200
    config.train.batch_size = 16
    config.train.evaluate_every = 40
    config.predict.window = 256
    config.predict.overlap = 0.0
    config.predict.tta = True
    return config
