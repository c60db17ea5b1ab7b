"""Random changes of training samples that keep their labels true, on the device.

A sample is `{"image": [H, W, C], "target": [H, W, K], "weight": [H, W]}`, the image
already normalised, with 0 where it is invalid; `present [C]` may say which bands it
has. Each change is a thin `random_*` that draws the parameters of a function beside it,
from a key. Here they are put together: `batch` maps `augment` over a batch with a key
for each sample, so that a sample's draws depend on nothing else in the batch.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from minenet.ops import bands, color, degrade, geometry, mixing, sky, warp
from minenet.ops.geometry import Fields
from minenet.ops.normalize import Normalizer
from minenet.types import InputError

if TYPE_CHECKING:
    from minenet.types import Batch

# At 1 and above, contrast and gain would invert the image; elastic could fold it; the
# others only end where nothing of it is left.
_LIMITS = {
    "brightness": 10.0,
    "contrast": 1.0,
    "gain": 1.0,
    "zoom": 10.0,
    "rotation_deg": 360.0,
    "crop": 1.0,
    "translation": 1.0,
    "elastic": 0.4,
    "offset": 10.0,
    "gamma": 10.0,
    "divisor": 1.0,
    "clouds": 1.0,
    "shadows": 1.0,
    "blur": 10.0,
    "low_resolution": 10.0,
    "noise": 10.0,
    "speckle": 1.0,
    "mixup": 10.0,
}
_PROBABILITIES = (
    "band_dropout",
    "sensor_dropout",
    "time_swap",
    "cutmix",
    "copy_paste",
)
# A change's place decides its key: append, and earlier results repeat. `zoom` and those
# before it share one split.
_ORDER = (
    "orient",
    "gain",
    "contrast",
    "brightness",
    "zoom",
    "rotation_deg",
    "crop",
    "translation",
    "elastic",
    "offset",
    "gamma",
    "divisor",
    "normalizers",
    "clouds",
    "shadows",
    "blur",
    "low_resolution",
    "noise",
    "speckle",
    "time_swap",
    "band_dropout",
    "sensor_dropout",
    "copy_paste",
    "cutmix",
    "mixup",
)


def augment(
    key: jax.Array,
    fields: Fields,
    *,
    flips: bool = True,
    turns: bool = True,
    brightness: float = 0.0,
    contrast: float = 0.0,
    gain: float = 0.0,
    zoom: float = 0.0,
    rotation_deg: float = 0.0,
    crop: float = 0.0,
    translation: float = 0.0,
    elastic: float = 0.0,
    offset: float = 0.0,
    gamma: float = 0.0,
    divisor: float = 0.0,
    normalizers: Sequence[Normalizer] = (),
    clouds: float = 0.0,
    shadows: float = 0.0,
    blur: float = 0.0,
    low_resolution: float = 0.0,
    noise: float = 0.0,
    speckle: float = 0.0,
    speckle_bands: Sequence[int] | None = None,
    time_swap: float = 0.0,
    dates: bands.Groups = (),
    band_dropout: float = 0.0,
    sensor_dropout: float = 0.0,
    sensors: bands.Groups = (),
) -> dict[str, jax.Array]:
    """Returns one sample changed at random; options at 0 cost nothing.

    Every change has its own key: to switch one off leaves the draws of the others.

    Args:
        key: A key for this sample alone.
        fields: One sample, normalised.
        flips: Mirror rows and columns, each with probability 1/2.
        turns: Turn by quarters; with `flips`, all eight orientations are as likely.
        brightness: Largest addition, in units of the normalised image.
        contrast: Largest relative stretch about the sample's mean, below 1.
        gain: Largest relative change of one band, below 1.
        zoom: Largest relative change of scale; .4 is 1/1.4 to 1.4.
        rotation_deg: Largest turn, in degrees; 180 is any.
        crop: Largest share of the area that a window, stretched to the frame, leaves
            out.
        translation: Largest shift, as a share of each side.
        elastic: Largest deformation, in eighths of a side; below .4 nothing folds.
        offset: Largest addition to one band, in units of the normalised image.
        gamma: Largest relative change of the exponent; .5 is 1/1.5 to 1.5.
        divisor: Largest relative change of the number that the image was divided by.
        normalizers: The image's own and others to draw from.
        clouds: Largest share under clouds.
        shadows: Largest share under shadows.
        blur: Largest σ, in pixels.
        low_resolution: Largest relative growth of pixels; 1 is up to twice as long.
        noise: Largest deviation, in units of the normalised image.
        speckle: Largest deviation of multiplicative noise.
        speckle_bands: Numbers of the bands it is for; None for all.
        time_swap: Probability to exchange two dates.
        dates: Numbers of the bands of the one and of the other.
        band_dropout: Probability of each band to be missing; one stays.
        sensor_dropout: Probability of each sensor to be missing; one stays.
        sensors: Numbers of the bands of each sensor.
    """
    first = jax.random.split(key, 5)
    numbers = jnp.arange(5, len(_ORDER))
    further = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
    keys = dict(zip(_ORDER, (*first, *further), strict=True))

    def changed(value: Any, *changes: tuple[str, float, Callable[..., Any]]) -> Any:
        for name, amount, change in changes:
            if amount:
                value = change(keys[name], value, amount=amount)
        return value

    def recolor(fields: Fields) -> Fields:
        if normalizers:
            fields = color.random_normalizer(
                keys["normalizers"], fields, normalizers=normalizers
            )
        return changed(
            fields,
            ("divisor", divisor, color.random_divisor),
            ("gain", gain, color.random_gain),
            ("contrast", contrast, color.random_contrast),
            ("brightness", brightness, color.random_brightness),
            ("offset", offset, color.random_offset),
            ("gamma", gamma, color.random_gamma),
        )

    move = functools.partial(
        geometry.random_orient, keys["orient"], flips=flips, turns=turns
    )
    # Orientation and colour commute. In these orders XLA's fusion works nothing out
    # twice: the others take four times as long on a CPU.
    if any((zoom, crop, rotation_deg, translation, elastic)):
        positions = changed(
            warp.grid(fields["weight"].shape),
            ("elastic", elastic, warp.random_displaced),
            ("translation", translation, warp.random_translated),
            ("rotation_deg", rotation_deg, warp.random_rotated),
            ("crop", crop, warp.random_cropped),
            ("zoom", zoom, warp.random_zoomed),
        )
        fields = warp.resample(recolor(fields), move(positions))
    else:
        fields = recolor(move(fields))
    speckled = functools.partial(degrade.random_speckle, bands=speckle_bands)
    swapped = functools.partial(bands.random_swap_dates, dates=dates)
    less = functools.partial(bands.random_drop_sensors, sensors=sensors)
    return dict(
        changed(
            fields,
            ("shadows", shadows, sky.random_shadows),
            ("clouds", clouds, sky.random_clouds),
            ("blur", blur, degrade.random_blur),
            ("low_resolution", low_resolution, degrade.random_low_resolution),
            ("noise", noise, degrade.random_noise),
            ("speckle", speckle, speckled),
            ("time_swap", time_swap, swapped),
            ("sensor_dropout", sensor_dropout, less),
            ("band_dropout", band_dropout, bands.random_drop),
        )
    )


def batch(
    *,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    copy_paste: float = 0.0,
    mines: Sequence[int] = (0,),
    **options: Any,
) -> Callable[[jax.Array, Batch], Batch]:
    """Returns the function `(keys [B], batch) -> batch` that augments each sample.

    Samples are mixed first, with their partners as these were read: so the draws of a
    sample stay its own.

    Args:
        mixup: α of the Beta law that shares of two blended samples follow.
        cutmix: Probability of a sample to have a box from another.
        copy_paste: Probability of a sample to have the mines of another too.
        mines: Channels of the target that `copy_paste` takes.
        **options: Those of `augment`.

    Raises:
        InputError: If an amount is out of its range, or bands are wanting.
        TypeError: If there is no such option.
    """
    inspect.signature(augment).bind(None, None, **options)
    mixed = {"mixup": mixup, "cutmix": cutmix, "copy_paste": copy_paste}
    _check(options | mixed)

    def one(key: jax.Array, fields: Fields) -> dict[str, jax.Array]:
        return augment(key, fields, **options)

    def apply(keys: jax.Array, batch: Batch) -> Batch:
        for name, change in (
            ("copy_paste", functools.partial(mixing.random_copy_paste, mines=mines)),
            ("cutmix", mixing.random_cutmix),
            ("mixup", mixing.random_mixup),
        ):
            if mixed[name]:
                number = _ORDER.index(name)
                own = jax.vmap(lambda key, i=number: jax.random.fold_in(key, i))(keys)
                batch = change(own, batch, amount=mixed[name])
        names = ("image", "target", "weight", "present")
        fields = {name: batch[name] for name in names if name in batch}
        return {**batch, **jax.vmap(one)(keys, fields)}

    return apply


def _check(options: Mapping[str, Any]) -> None:
    for name, limit in _LIMITS.items():
        if not 0 <= options.get(name, 0.0) < limit:
            raise InputError(
                f"augment.{name}={options[name]}: must be at least 0 and below {limit}"
            )
    for name in _PROBABILITIES:
        if not 0 <= options.get(name, 0.0) <= 1:
            raise InputError(
                f"augment.{name}={options[name]}: must be a probability, 0 to 1"
            )
    for name, groups in (("sensor_dropout", "sensors"), ("time_swap", "dates")):
        if options.get(name) and not options.get(groups):
            raise InputError(
                f"augment.{name}={options[name]}: give augment.{groups} too, the "
                "numbers of the bands of each"
            )
