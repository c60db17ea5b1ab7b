"""minenet maps mining from satellite images.

  bash launch/run.sh --mode=run --config=configs/quickstart.py --workdir=runs/quickstart

does the whole job: prepare → train → evaluate → predict. Started again, the same
command goes on where it stopped. On several hosts give it to each of them.

  --mode=prepare   read images and outlines, choose the splits, count and write an index
  --mode=train     train, keep the best by validation IoU, write the bundle model/
  --mode=evaluate  score the bundle on the test split: evaluation.json and figures/
  --mode=predict   map scenes: probability and class GeoTIFFs and polygons
  --mode=run       all of these, one after the other
  --mode=convert   maps in the format of others: coco, dstl, npy, runs, tfrecord

evaluate, predict and convert need only --workdir. Any key of the configuration can be
set here: --config.train.steps=500, --config.predict.overlap=0.5. configs/default.py
lists them all; without --config the run's own configuration holds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from launch import settings as settings_
from launch import stored
from minenet.types import InputError

MODES = ("run", "prepare", "train", "evaluate", "predict", "convert")
FREE = ("predict", "convert")
"""Sections that may differ from what a run was trained with."""

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Configuration: configs/NAME.py[:ARG]. Default: the workdir's own."
)
_MODE = flags.DEFINE_enum("mode", "run", MODES, "What to do.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where everything is written.")
_SCENE = flags.DEFINE_multi_string(
    "scene",
    [],
    "predict: a raster to map; give it several times for several scenes, "
    "A.tif,B.tif for one scene whose bands lie in several files, and A.tif, without "
    "the second where that is missing.",
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "predict: the folder of maps. Default: in workdir. convert: the file or folder.",
)
_FORMAT = flags.DEFINE_string(
    "format", None, "convert: coco, dstl, npy, runs, tfrecord"
)
_STRICT = flags.DEFINE_bool(
    "strict", False, "End at the first file that cannot be read, in place of noting it."
)
_CLUSTER = flags.DEFINE_string(
    "cluster",
    None,
    "prepare: where scenes are worked on: the address of a Dask scheduler, or local "
    "for one of this machine. Default: processes of this machine.",
)
_DISTRIBUTED = flags.DEFINE_enum(
    "distributed",
    "none",
    ("none", "auto", "manual"),
    "How hosts find each other: auto on Cloud TPU, Slurm and Kubernetes; manual with "
    "the next three flags.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "manual: host:port of the first process."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "manual: how many.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "manual: which one this is.")


def _connect() -> None:
    """Joins the hosts of a job; must run before JAX touches a device."""
    import jax

    if _DISTRIBUTED.value == "auto":
        jax.distributed.initialize()
    elif _DISTRIBUTED.value == "manual":
        given = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
        if None in given:
            raise InputError(
                "--distributed=manual: needs --coordinator_address, --num_processes "
                "and --process_id"
            )
        jax.distributed.initialize(*given)


def main(argv: Sequence[str]) -> None:
    """Runs one mode; absl has parsed the flags."""
    if len(argv) > 1:
        raise InputError(f"{argv[1]}: not a flag; flags look like --mode=run")
    if _WORKDIR.value is None:
        raise InputError("--workdir: missing; name the folder of the run")
    workdir = Path(_WORKDIR.value).absolute()
    _connect()
    from launch import jobs  # imports JAX, which must not start before _connect

    mode = _MODE.value
    given = _CONFIG.value is not None
    settings = settings_.resolve(_config(sys.argv)) if given else {}
    if mode in ("run", "prepare", "train"):
        settings = settings or settings_.read(workdir)
        jobs.begin(workdir, settings)
    else:  # how to map is free; what was trained is not
        kept = settings_.read(workdir)
        settings = kept | {key: settings.get(key, kept[key]) for key in FREE}
    jobs_options = {"scenes": _SCENE.value, "out": _OUT.value, "form": _FORMAT.value}
    jobs_options |= {"strict": _STRICT.value, "cluster": _CLUSTER.value}
    getattr(jobs, mode)(workdir, settings, **jobs_options)


def _parse(arguments: list[str]) -> list[str]:
    """Parses flags; a wrong one, or a wrong key, becomes one clear line."""
    try:
        return flags.FLAGS(stored.arguments(arguments))
    except flags.Error as error:
        # A configuration's own error comes as a whole traceback, its message last.
        message = str(error).strip().splitlines()[-1]
        raise InputError(f"{message} (--help lists the flags)") from error
    except (AttributeError, KeyError) as error:  # an override of a key that is not
        settings_.check_overrides(arguments)
        raise InputError(
            f"--config: {error}; --config=configs/default.py:MODEL,LOSS has options "
            "of a model and of a loss"
        ) from error
    except OSError as error:
        raise _unreadable(arguments, error) from error


def _config(arguments: Sequence[str]) -> dict[str, Any]:
    try:
        return _CONFIG.value.to_dict()
    except OSError as error:
        raise _unreadable(arguments, error) from error


def _unreadable(arguments: Sequence[str], error: OSError) -> InputError:
    given = next(a for a in arguments if a.lstrip("-").startswith("config"))
    reason = str(error).strip().splitlines()[-1].strip()
    return InputError(f"{given}: cannot be loaded ({reason})")


def cli() -> None:
    """Runs the launcher: what the user gave wrong costs one line, not a traceback."""
    logging.use_absl_handler()
    logging.set_verbosity(logging.WARNING)
    try:
        app.run(main, flags_parser=_parse)
    except InputError as error:
        print(f"minenet: {error}", file=sys.stderr)
        sys.stderr.flush()
        if flags.FLAGS.is_parsed() and _DISTRIBUTED.value != "none":
            os._exit(2)  # the other processes would keep this one waiting
        sys.exit(2)


if __name__ == "__main__":
    cli()
