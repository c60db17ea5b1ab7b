r"""Buildings from aerial RGB: Image-segmentation (IIEST) and the entry it grew from.

Command:  bash launch/run.sh --mode=run --config=configs/buildings.py \
              --workdir=runs/buildings --config.data.images=images \
              --config.data.polygons=annotations.gpkg
Time:     an hour or so on a GPU: a network of 45 000 parameters.
Score:    its source has none in figures.

Images of 300×300 pixels of the crowdAI Mapping Challenge, 8 bits. The rate falls on a
plateau; the source's further decay of 1e-6 a step takes 2 % in 20 000 steps, and is
left out. `:dstl` is the run of kaggle_dstl_submission that its other scripts come from:
16 channels of WorldView-3, a network for each class.
"""

from ml_collections import ConfigDict

from configs import default


def get_config(name: str = "crowdai") -> ConfigDict:
    """Returns the published run, "crowdai" or "dstl"."""
    if name not in ("crowdai", "dstl"):
        raise ValueError(f"buildings.py:{name}: expected one of crowdai, dstl")
    crowdai = name == "crowdai"
    config = default.get_config("context_net" if crowdai else "elu_unet")
    config.data.classes = ("building",)
    config.data.chip_size = 300 if crowdai else 112
    config.sampling.positive_share = 0.0
    config.sampling.jitter = not crowdai
    # The sixteen: eight bands and panchromatic over 2047, four indices, RGB over 2047.
    config.normalize = 255.0 if crowdai else (2047.0,) * 9 + (1.0,) * 4 + (2047.0,) * 3
    config.augment.flips = config.augment.turns = not crowdai
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.loss = ConfigDict(
        {"name": "bce_dice", "factors": (0.05, 1.0), "over": "sample"}
        if crowdai
        else {"name": "log_jaccard_bce"}
    )
    config.optimizer.name = "adam" if crowdai else "nadam"
    config.optimizer.convention = "keras"
    config.optimizer.learning_rate = 1e-4 if crowdai else 1e-3
    config.optimizer.warmup = 0.0
    config.optimizer.clip = 0.0
    if crowdai:
        config.optimizer.schedule.name = "plateau"
        config.optimizer.schedule.factor = 0.5
        # Keras lowers at the third bad epoch, torch's rule after it.
        config.optimizer.schedule.patience = 2
        config.optimizer.schedule.threshold = 1e-4
        config.optimizer.schedule.absolute = True
        config.optimizer.schedule.cooldown = 2
        config.optimizer.schedule.minimum = 1e-6
    else:
        config.optimizer.schedule.name = "constant"
    config.train.steps = 20_000  # its 50 epochs of 400 batches
    config.train.batch_size = 24 if crowdai else 128
    config.train.evaluate_every = 400
    config.train.patience = 50 if crowdai else 0
    config.train.ema_decay = 0.0
    config.predict.window = 300 if crowdai else 112
    config.predict.tta = not crowdai
    return config
