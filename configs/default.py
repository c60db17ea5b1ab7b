r"""Every key, with its default: the file that all other configurations start from.

Command:  bash launch/run.sh --mode=run --config=configs/default.py \
              --workdir=runs/mine --config.data.images=scenes \
              --config.data.polygons=mines.gpkg
Time:     set by `train.steps`; 2 000 steps of this U-Net take about an hour on 2 cores.
Score:    as good as the outlines are.
"""

from ml_collections import ConfigDict, config_dict


def get_config(names: str = "unet,bce_dice") -> ConfigDict:
    """Returns the locked defaults; a `None` is chosen by the code, or absent.

    `configs/default.py:MODEL` or `configs/default.py:MODEL,LOSS` has the options of
    these in their place.
    """
    model, _, loss = names.partition(",")
    config = ConfigDict()
    config.seed = 0

    config.data = ConfigDict()
    # A folder, a glob or a file of rasters; a tuple of them stacks as bands.
    config.data.images = config_dict.placeholder(object)
    # One of the two: a folder of mask rasters, or a file of polygons.
    config.data.masks = config_dict.placeholder(str)
    config.data.polygons = config_dict.placeholder(object)
    config.data.layer = config_dict.placeholder(object)
    # Outlines of what was looked at: nothing counts outside.
    config.data.area = config_dict.placeholder(str)
    # "exclusive": background and several classes; "multilabel": classes may overlap.
    config.data.task = "binary"
    config.data.classes = ("mine",)
    config.data.attribute = config_dict.placeholder(str)  # polygon column → class
    config.data.values = config_dict.placeholder(object)  # mask value → class id
    config.data.priority = ()  # classes from the lowest to the highest, in overlaps
    config.data.all_touched = False
    config.data.ignore_m = 0.0  # metres on each side of an outline that do not count
    config.data.empty = "negative"  # scenes without a mine: "negative" or "ignore"
    # Polygon column of the years that outlines hold for; until: from then on.
    config.data.year_column = config_dict.placeholder(str)
    config.data.until = False
    config.data.bands = config_dict.placeholder(tuple)  # names or numbers; None: all
    # "sentinel2_l2a" or another of minenet/geo/sensor_table.py, of each image where
    # there are several: names bands and checks their numbers.
    config.data.sensor = config_dict.placeholder(object)
    config.data.baseline = config_dict.placeholder(str)  # Sentinel-2's: "05.10"
    config.data.scaled = False  # apply scale and offset of the raster, or the sensor
    # Images of other grids are brought to that of image number `like`, or to one of
    # pixels of this size in units of the CRS.
    config.data.grid = ConfigDict()
    config.data.grid.like = config_dict.placeholder(int)
    config.data.grid.crs = config_dict.placeholder(str)
    config.data.grid.pixel = config_dict.placeholder(float)
    # "bilinear", "nearest", "average", "mode"; of each image where there are several.
    config.data.resampling = config_dict.FieldReference("cubic", field_type=object)
    config.data.missing = False  # scenes may lack some of several images
    config.data.exclude = ()  # names of scenes to leave out
    config.data.table = config_dict.placeholder(str)  # CSV with a row a scene
    config.data.table_key = config_dict.placeholder(str)
    config.data.table_year = config_dict.placeholder(str)  # of the images
    config.data.group_column = config_dict.placeholder(str)
    config.data.split_column = config_dict.placeholder(str)
    config.data.split = ConfigDict()
    config.data.split.by = "random"  # "group", "block", "place", "folder", "column"
    config.data.split.shares = (0.6, 0.2, 0.2)  # train, validation, test
    config.data.split.block_m = config_dict.placeholder(float)  # for "block"
    config.data.split.buffer_m = 0.0  # least distance between windows of two splits
    config.data.split.folds = 0  # in place of shares: one tests, one validates
    config.data.split.fold = 0  # which one tests
    config.data.split.repeat = 0  # another draw
    config.data.split.held_out = ()  # groups that test, for "place"
    config.data.split.stratify = True  # by the shares of classes too
    config.data.split.seed = 0
    config.data.chip_size = 256
    config.data.stride = config_dict.placeholder(int)  # None: the chip size
    # What else labelled images come as. `images` is then a folder, and `masks` of "npy"
    # and "palette" another; `values` may tell the id of a kind of object.
    config.data.format = ConfigDict()
    # "coco", "dstl", "npy", "palette", "runs", "tfrecord"; None: rasters.
    config.data.format.name = config_dict.placeholder(str)
    # JSON of coco, table of runs, table of outlines in the folder of dstl.
    config.data.format.annotations = config_dict.placeholder(str)
    config.data.format.palette = ()  # palette: colours of the classes, ((255, 0, 0),)
    config.data.format.ignore = ()  # palette: colours of what does not count
    config.data.format.order = config_dict.placeholder(str)  # runs: "rows", "columns"
    config.data.format.columns = ()  # runs: ("ImageId", "EncodedPixels")
    config.data.format.sets = ()  # dstl: of ("RGB", "P", "M", "A"), the first the grid
    # Scenes made by minenet itself, in place of images and outlines of your own.
    config.data.synthetic = ConfigDict()
    config.data.synthetic.scenes = 0
    config.data.synthetic.height = 768
    config.data.synthetic.width = 768

    # A folder or a gs:// bucket of chips, filled once and faster to read than the
    # rasters; without a path windows come straight from these. Batches are the same.
    config.store = ConfigDict()
    config.store.path = config_dict.placeholder(str)
    config.store.dtype = config_dict.FieldReference("float32", field_type=str)
    config.store.codec = "none"  # "zstd", "blosc": smaller, slower
    config.store.size = config_dict.placeholder(int)  # of a chip; None: data.chip_size
    config.store.chunk = config_dict.placeholder(int)  # side of what is read at once
    config.store.shard = config_dict.placeholder(int)  # chips in a file

    # Shares of the chips drawn: from those with a mine; by the area of mines, with one
    # in the middle; by how hard they are. The others come as they are.
    config.sampling = ConfigDict()
    config.sampling.positive_share = 0.5
    config.sampling.foreground_share = 0.0
    config.sampling.hard_share = 0.0
    # A run's errors.csv, or polygons of places that are easily taken for mines.
    config.sampling.hard = config_dict.placeholder(str)
    config.sampling.jitter = True

    # "percentile", "minmax", each also for all bands alike as "global_percentile"; a
    # number to divide by; or published ones: {"kind": "zscore", "mean": …, "std": …}.
    config.normalize = config_dict.FieldReference("zscore", field_type=object)

    # Spectral indices as further channels: "ndvi" finds its bands by their names,
    # ("ndvi", (4, 3)) has their numbers; see minenet/ops/indices.py.
    config.indices = ()

    config.augment = ConfigDict()
    config.augment.flips = True
    config.augment.turns = True
    config.augment.brightness = 0.1
    config.augment.contrast = 0.2
    config.augment.gain = 0.0
    config.augment.zoom = 0.0
    # Amounts and probabilities, each explained in minenet/ops/augment.py; 0 costs
    # nothing.
    for change in (
        *("rotation_deg", "crop", "translation", "elastic", "offset", "gamma"),
        *("divisor", "clouds", "shadows", "blur", "low_resolution", "noise"),
        *("speckle", "time_swap", "band_dropout", "sensor_dropout"),
        *("mixup", "cutmix", "copy_paste"),
    ):
        config.augment[change] = 0.0
    config.augment.mines = (0,)  # channels of the target that copy_paste takes
    # Numbers of bands, from 0: those with speckle (None: all), those of the two dates
    # that are swapped, those of each sensor that drops out.
    config.augment.speckle_bands = config_dict.placeholder(tuple)
    config.augment.dates = ()
    config.augment.sensors = ()
    config.augment.normalizers = ()  # kinds of normalize to draw from

    config.model = ConfigDict()
    config.model.name = "unet"
    config.model.widths = (32, 64, 128, 256)
    config.model.stem = 1  # 2 or 4: blocks of pixels at once, several times faster
    config.model.norm = "group"  # "batch", "instance", "none"
    config.model.activation = "relu"  # "elu", "gelu", "silu"
    config.model.dropout = 0.0
    config.model.bottom_dropout = 0.0
    config.model.residual = False
    config.model.upsample = "nearest"  # "bilinear", "transpose", "depth_to_space"
    if model != "unet":
        from minenet import models  # takes a second, which the U-Net need not wait for

        config.model = ConfigDict({"name": model, **models.defaults(model)})

    # Where training begins, in place of random weights: a file of PyTorch weights for
    # an encoder or a whole network, and for each stream of late_fusion the bundle of a
    # model of its own, "runs/s1/model".
    config.start = ConfigDict()
    config.start.weights = config_dict.placeholder(str)
    config.start.parts = ("encoder", "decoder", "segmentation_head")  # to take of it
    config.start.streams = ()

    config.loss = ConfigDict()
    config.loss.name = "bce_dice"
    if loss not in ("", "bce_dice"):
        from minenet import losses

        config.loss = ConfigDict({"name": loss, **losses.defaults(loss)})

    # Further heads, by what their loss counts beside that of the classes; 0: none.
    config.auxiliary = ConfigDict()
    config.auxiliary.boundary = 0.0  # is a pixel at an outline?
    config.auxiliary.distance = 0.0  # how far is it from the nearest one?

    config.optimizer = ConfigDict()
    # "adamw", or "adam", "adamax", "nadam", "rmsprop", "sgd"; a None below is the
    # rule's own default (minenet/train/rules.py).
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup = 0.05  # share of the steps
    # Of kernels. None: 0.05 for adamw, where it is decoupled, and 0 for the others,
    # where it is added to the gradient as in torch.
    config.optimizer.weight_decay = config_dict.placeholder(float)
    config.optimizer.decay_all = False  # biases and norms too, as torch does
    config.optimizer.clip = 1.0  # largest norm of the gradient; 0: not clipped
    config.optimizer.accumulate = 1  # parts of a batch, one by one: less memory
    # Parameters by module name or path: (("encoder", 0.1),) and ("encoder/stage_1",).
    config.optimizer.rates = ()
    config.optimizer.freeze = ()
    config.optimizer.b1 = config_dict.placeholder(float)
    config.optimizer.b2 = config_dict.placeholder(float)
    config.optimizer.eps = config_dict.placeholder(float)
    config.optimizer.rho = config_dict.placeholder(float)  # rmsprop
    config.optimizer.momentum = config_dict.placeholder(float)  # sgd, rmsprop
    config.optimizer.nesterov = config_dict.placeholder(bool)  # sgd
    config.optimizer.convention = config_dict.placeholder(str)  # "torch", "keras"
    # "cosine", or "constant", "step", "exponential", "inverse_time", "poly",
    # "one_cycle", "plateau"; a None below is the schedule's own default
    # (minenet/train/schedules.py and plateau.py).
    config.optimizer.schedule = ConfigDict()
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.every = config_dict.placeholder(int)  # steps a fall
    config.optimizer.schedule.factor = config_dict.placeholder(float)  # of a fall
    config.optimizer.schedule.staircase = config_dict.placeholder(bool)
    config.optimizer.schedule.power = config_dict.placeholder(float)  # poly
    config.optimizer.schedule.initial = config_dict.placeholder(float)  # share of peak
    config.optimizer.schedule.final = config_dict.placeholder(float)  # share of peak
    # plateau counts validations.
    config.optimizer.schedule.patience = config_dict.placeholder(int)
    config.optimizer.schedule.threshold = config_dict.placeholder(float)
    config.optimizer.schedule.absolute = config_dict.placeholder(bool)
    config.optimizer.schedule.cooldown = config_dict.placeholder(int)
    config.optimizer.schedule.minimum = config_dict.placeholder(float)  # lowest rate
    config.optimizer.schedule.monitor = config_dict.placeholder(str)  # "loss", "iou"

    config.train = ConfigDict()
    config.train.steps = 2000
    config.train.batch_size = 8  # over all devices and hosts
    config.train.evaluate_every = 100
    config.train.patience = 0  # validations without progress before it stops; 0: never
    config.train.bfloat16 = False
    config.train.ema_decay = 0.99

    config.mesh = ConfigDict()
    config.mesh.data = -1  # -1: all devices that the other axes leave
    config.mesh.fsdp = 1
    config.mesh.space = 1

    config.predict = ConfigDict()
    config.predict.window = 256
    config.predict.overlap = 0.5
    config.predict.batch_size = 8
    # evaluate: also errors.csv of the training chips, for another run's sampling.hard.
    config.predict.errors = False
    config.predict.missing = ()  # names or numbers of bands to do without
    config.predict.tta = False  # mean over the 8 orientations of a window: 8 × the time
    config.predict.min_area_m2 = 2000.0
    config.predict.simplify_m = 0.0

    # --mode=convert --format=…: what the format asks for beside the maps.
    config.convert = ConfigDict()
    config.convert.maps = config_dict.placeholder(str)  # None: the run's predictions
    config.convert.images = config_dict.placeholder(str)  # tfrecord: what was mapped
    config.convert.sizes = config_dict.placeholder(str)  # dstl: table of grid sizes
    config.convert.order = config_dict.placeholder(str)  # runs: "rows", "columns"
    return config.lock()
