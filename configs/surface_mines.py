r"""Surface mines from annual Sentinel-2 medians: Detecting_Mining_Areas_India.

Command:  bash launch/run.sh --mode=run --config=configs/surface_mines.py \
              --workdir=runs/surface --config.data.images=scenes \
              --config.data.polygons=india_polygons.geojson
Time:     hours on a GPU: 126 million parameters on chips of 1024 pixels.
Score:    its source has none in figures; "`plain_unet` works better than
          `:deepsense`".

Twelve bands of COPERNICUS/S2_SR in reflectance (B1 to B12 without B10), a median of
2019 where QA60 has no cloud; polygons of Maus et al. 2020. The source resizes each
site to 1024 pixels; here chips of 1024 are cut, so that a pixel stays 10 m.
"""

from ml_collections import ConfigDict

from configs import default

MODELS = {"plain": "plain_unet", "deepsense": "deepsense_unet"}


def get_config(model: str = "plain") -> ConfigDict:
    """Returns the published run of `model`, "plain" or "deepsense"."""
    if model not in MODELS:
        raise ValueError(f"surface_mines.py:{model}: expected one of {[*MODELS]}")
    config = default.get_config(MODELS[model])
    config.data.split.by = "block"
    config.data.split.block_m = 20_000.0  # its sites lie in boxes of 20 km
    config.data.chip_size = 1024
    config.sampling.positive_share = 0.0
    config.sampling.jitter = False
    config.normalize = 1.0  # reflectance as it is
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.loss.name = "bce"
    config.optimizer.name = "adamax"
    config.optimizer.convention = "keras"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup = 0.0
    config.optimizer.clip = 0.0
    config.optimizer.schedule.name = "constant"
    config.train.steps = 60_000  # 600 epochs of some 800 chips
    config.train.batch_size = 8
    config.train.evaluate_every = 100  # an epoch
    config.train.ema_decay = 0.0
    config.predict.window = 1024
    return config
