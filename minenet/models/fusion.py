"""Networks with a stream for each sensor: radar beside optical, say.

The radar and PlanetScope model of asm-mapping-deeplearning, and what makes one
checkpoint serve any subset of the sensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

from minenet.models import encoders, norms, options, resample
from minenet.models.decoders.unet import UNetDecoder
from minenet.models.encoder_decoder import EncoderDecoder
from minenet.models.segmenter import Segmenter
from minenet.types import InputError

_PUBLISHED = (128, 128, 256, 512, 1024)

_CHOICES = {
    "encoder": tuple(encoders.names()),
    "fusion": ("concat", "sum", "gated", "decision"),
    "attention": ("none", "scse"),
    "norm": norms.NAMES,
    "full_resolution": (False, True),
}


class LateFusion(Segmenter):
    """An encoder for each stream, joined level by level, under one decoder.

    By default the graph is the source's. There the decoder leaves out the joined maps
    at 1/2 and stops at that resolution: the logits are enlarged.

    Attributes:
        streams: Of each stream the numbers of its bands, from 0.
        fusion: Of the maps of a level "concat", "sum" or "gated" (a mean whose weights
            each pixel's maps decide), or "decision": whole U-Nets, whose logits a 1×1
            convolution joins.
        encoder: One of `encoders.names()`.
        encoder_width: Channels of the encoders' first stage; 0: those of their source.
        decoder_widths: Five, from the finest, which is not reached unless
            `full_resolution` is set; empty: those of the source.
        full_resolution: Whether the decoder takes the maps at 1/2 too and goes on to
            full resolution, as the source's list of widths suggests.
        attention: "none", or "scse" in the decoder's blocks.
        norm: "batch", "group", "instance" or "none".
        sensor_dropout: Probability that a stream is dropped from a sample in training;
            one always stays. Above 0 a learned token stands for the maps of a stream
            that is dropped or missing, that is, whose bands are all 0 in a sample.
    """

    streams: tuple[tuple[int, ...], ...] = ((0, 1), (2, 3, 4, 5, 6, 7, 8))
    fusion: str = "concat"
    encoder: str = "resnet34"
    encoder_width: int = 0
    decoder_widths: tuple[int, ...] = ()
    full_resolution: bool = False
    attention: str = "scse"
    norm: str = "batch"
    sensor_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        for option, choices in _CHOICES.items():
            options.check_choice(option, getattr(self, option), choices)
        options.check_count("encoder_width", self.encoder_width)
        options.check_counts("decoder_widths", self.decoder_widths, lengths=(0, 5))
        options.check_probability("sensor_dropout", self.sensor_dropout)
        if not _are_streams(self.streams):
            raise InputError(
                f"model.streams={self.streams!r}: expected two or more tuples of "
                "numbers of bands, from 0"
            )
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """The encoders halve five times."""
        return 32

    def __call__(
        self,
        image: jax.Array,
        train: bool = False,
        auxiliary: bool = False,
        present: jax.Array | None = None,
    ) -> Any:
        """Returns the logits of a normalised image.

        Args:
            image: `[B, H, W, C]`.
            train: As of every network; `sensor_dropout` needs the key "dropout".
            auxiliary: As of every network.
            present: `[B, C]`, 0 where a sample lacks a band, whose values then do not
                count; None: they are 0 already.
        """
        bands = 1 + max(band for stream in self.streams for band in stream)
        if image.shape[-1] < bands:
            raise InputError(
                f"model.streams={self.streams!r}: expected numbers below the "
                f"{image.shape[-1]} bands of the image"
            )
        if present is not None:
            image = jnp.where(present[:, None, None] > 0, image, 0)
        return super().__call__(image, train, auxiliary)

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the decoder's maps, or the joined logits of whole U-Nets."""
        images = [
            jnp.stack([image[..., band] for band in bands], axis=-1)
            for bands in self.streams
        ]
        streams = [
            self._maps(place, part, train=train) for place, part in enumerate(images)
        ]
        if self.sensor_dropout:
            seen = self._seen(images, train=train)
            streams = [
                self._completed(place, maps, seen[:, place])
                for place, maps in enumerate(streams)
            ]
        if self.fusion == "decision":
            return [jnp.concatenate([maps[0] for maps in streams], axis=-1)]
        joined = [
            self.kept(self._joined(place, level))
            for place, level in enumerate(zip(*streams, strict=True))
        ]
        widths = self.decoder_widths or _PUBLISHED
        first = 0 if self.full_resolution else 1
        decoder = UNetDecoder(
            widths[first:],
            attention=self.attention,
            norm=self.norm,
            dtype=self.dtype,
            name="decoder",
        )
        return [self.kept(x) for x in decoder(joined[first:], train=train)]

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns those of a 1×1 convolution, enlarged from 1/2 if need be."""
        logits = super().logits(features, channels)
        if self.full_resolution or self.fusion == "decision":
            return logits
        return resample.bilinear_aligned(logits, 2)

    def _maps(self, place: int, image: jax.Array, *, train: bool) -> list[jax.Array]:
        fields: dict[str, Any] = {"dtype": self.dtype, "name": f"stream_{place}"}
        if self.fusion == "decision":
            network = EncoderDecoder(
                self.num_classes,
                encoder=self.encoder,
                encoder_width=self.encoder_width,
                decoder_widths=self.decoder_widths,
                attention=self.attention,
                norm=self.norm,
                **fields,
            )
            return [network(image, train=train)]
        encoder = encoders.build(
            self.encoder, width=self.encoder_width, norm=self.norm, **fields
        )
        return encoder(image, train=train, kept=self.kept)

    def _seen(self, images: list[jax.Array], *, train: bool) -> jax.Array:
        """Returns `[B, streams]`, whether a stream of a sample counts."""
        seen = jnp.stack([(x != 0).any(axis=(1, 2, 3)) for x in images], axis=1)
        if not train:
            return seen
        draws = jax.random.uniform(self.make_rng("dropout"), seen.shape)
        # Of those that are there the one with the highest draw always stays.
        highest = jnp.where(seen, draws, 0).max(axis=1, keepdims=True)
        return seen & (draws >= jnp.minimum(self.sensor_dropout, highest))

    def _completed(
        self, place: int, maps: list[jax.Array], seen: jax.Array
    ) -> list[jax.Array]:
        completed = []
        for level, x in enumerate(maps):
            name = f"missing_{place}_{level}"
            token = self.param(name, nn.initializers.zeros, (x.shape[-1],))
            there = seen[:, None, None, None]
            completed.append(jnp.where(there, x, token.astype(x.dtype)))
        return completed

    def _joined(self, level: int, maps: tuple[jax.Array, ...]) -> jax.Array:
        if self.fusion == "sum":
            return sum(maps[1:], maps[0])
        together = jnp.concatenate(maps, axis=-1)
        if self.fusion == "concat":
            return together
        gate = nn.Dense(len(maps), dtype=self.dtype, name=f"gate_{level}")(together)
        return (jnp.stack(maps, axis=-1) * nn.softmax(gate)[..., None, :]).sum(axis=-1)


def grafted(
    variables: Mapping[str, Any], standalone: Mapping[str, Any], *, stream: int
) -> dict[str, Any]:
    """Returns the variables of a fusion model with a stream from a model of its own.

    Args:
        variables: Of a `LateFusion`.
        standalone: Of an `EncoderDecoder` on the bands of that stream: its encoder
            is taken; where decisions are fused, all of it.
        stream: Which one, from 0.

    Raises:
        InputError: The model has no such stream, or a layer does not fit it.
    """
    name = f"stream_{stream}"
    if name not in variables["params"]:
        raise InputError(f"stream={stream}: the fusion model has no such stream")
    whole = "encoder" in variables["params"][name]
    found = {collection: dict(tree) for collection, tree in variables.items()}
    for collection, tree in standalone.items():
        part = tree if whole else tree["encoder"]
        here, there = (
            {"/".join(path): leaf.shape for path, leaf in flatten_dict(dict(t)).items()}
            for t in (found.get(collection, {}).get(name, {}), part)
        )
        differing = sorted(dict(here.items() ^ there.items()))
        if differing:
            raise InputError(
                f"stream={stream}: {len(differing)} layers do not fit, such as "
                f"{', '.join(differing[:3])}; the standalone model needs the stream's "
                "bands and encoder"
            )
        found[collection][name] = part
    return found


def _are_streams(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) > 1
        and all(isinstance(bands, tuple) and bands for bands in value)
        and all(
            isinstance(band, int) and not isinstance(band, bool) and band >= 0
            for bands in value
            for band in bands
        )
    )
