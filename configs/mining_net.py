r"""Mining areas from annual Landsat composites: mining-net.

Command:  bash launch/run.sh --mode=run --config=configs/mining_net.py \
              --workdir=runs/landsat --config.data.images=composites \
              --config.data.polygons=global_mining_polygons_v2.gpkg
Time:     a minute an epoch on an A100 for its source's 34 000 tiles.
Score:    validation Dice of its source .52; neighbouring tiles lay in training, so
          here whole blocks are held out.

Seven bands of LANDSAT/COMPOSITES/C02/T1_L2_ANNUAL (reflectance, thermal in K) on a grid
of 0.000269495°, in tiles of 256; polygons of Maus et al. 2022 for 2019. `:base128` is
its last and largest network. It configures flips, turns and colours, but did not call
them; they are on here.
"""

from ml_collections import ConfigDict

from configs import default

WIDTHS = {
    "base64": (64, 128, 256, 512, 1024),
    "base64_depth2": (64, 128, 256),
    "base128": (128, 256, 512, 1024, 2048, 4096),
}


def get_config(size: str = "base64") -> ConfigDict:
    """Returns the published run of a network of `size`, one of `WIDTHS`."""
    if size not in WIDTHS:
        raise ValueError(f"mining_net.py:{size}: expected one of {[*WIDTHS]}")
    config = default.get_config("mining_unet")
    config.data.split.by = "block"
    config.data.split.block_m = 50_000.0
    config.sampling.positive_share = 0.0
    config.sampling.jitter = False
    config.augment.brightness = 0.1
    config.augment.contrast = 0.2
    config.model.widths = WIDTHS[size]
    config.model.dropout = 0.2 if size == "base128" else 0.1
    config.loss = ConfigDict(
        {"name": "bce_dice", "factors": (0.3, 0.7), "smooth": 1e-6}
    )
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup = 0.0
    config.optimizer.clip = 1.0
    config.optimizer.schedule.name = "plateau"
    config.optimizer.schedule.factor = 0.5
    config.optimizer.schedule.patience = 5
    config.optimizer.schedule.minimum = 1e-7
    config.train.steps = 43_200  # 100 epochs of some 27 700 tiles
    config.train.batch_size = 64
    config.train.evaluate_every = 432  # an epoch
    config.train.patience = 15
    config.train.bfloat16 = True
    config.train.ema_decay = 0.0
    return config
