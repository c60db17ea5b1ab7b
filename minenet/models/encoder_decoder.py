"""An encoder and a decoder by name: the networks of segmentation_models_pytorch 0.6."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from minenet.models import blocks, encoders, norms, options, resample
from minenet.models.decoders import DECODERS
from minenet.models.segmenter import Segmenter
from minenet.types import InputError

_FULL = ("unet", "unetpp")
"""Decoders that reach full resolution; the others stop at a quarter."""

_CHOICES = {
    "encoder": tuple(encoders.names()),
    "decoder": tuple(DECODERS),
    "attention": ("none", "scse"),
    "norm": norms.NAMES,
}


class EncoderDecoder(Segmenter):
    """Any of the encoders under any of the decoders.

    With the options that a name starts from, the graph and the parameters are those of
    segmentation_models_pytorch 0.6: `torch_names` carries weights over.

    Attributes:
        encoder: One of `encoders.names()`.
        decoder: "unet", "unetpp", "fpn", "deeplabv3plus" or "upernet".
        encoder_width: Channels of the encoder's first stage; 0: those of its source.
        decoder_widths: Channels of the decoder, from the finest; empty: those of its
            source. Five for "unet" and "unetpp", two (of the sum, of the pyramid) for
            "fpn", one for the others.
        attention: "none", or "scse" in the blocks of "unet" and "unetpp".
        norm: "batch", "group", "instance" or "none" in the encoder and the decoder;
            ConvNeXt and the decoder "fpn" have their own.
        dropout: Probability that a channel of the features is dropped in training; in
            "deeplabv3plus" a value of the context.
    """

    encoder: str = "resnet34"
    decoder: str = "unet"
    encoder_width: int = 0
    decoder_widths: tuple[int, ...] = ()
    attention: str = "none"
    norm: str = "batch"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Checks the options, so that a wrong one is named before anything runs."""
        for option, choices in _CHOICES.items():
            options.check_choice(option, getattr(self, option), choices)
        options.check_count("encoder_width", self.encoder_width)
        options.check_probability("dropout", self.dropout)
        lengths = (0, len(DECODERS[self.decoder].widths))
        options.check_counts("decoder_widths", self.decoder_widths, lengths=lengths)
        if self.attention != "none" and self.decoder not in _FULL:
            raise InputError(
                f"model.attention={self.attention!r}: expected 'none' where "
                f"model.decoder is {self.decoder!r}"
            )
        if self.decoder == "deeplabv3plus" and not self.encoder.startswith("resnet"):
            raise InputError(
                f"model.encoder={self.encoder!r}: expected a ResNet where "
                "model.decoder is 'deeplabv3plus', whose kernels can be spaced out"
            )
        if self.decoder == "unetpp" and self.encoder.startswith("convnext"):
            raise InputError(
                f"model.encoder={self.encoder!r}: expected one with a map at 1/2 where "
                "model.decoder is 'unetpp'"
            )
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """The encoder halves five times."""
        return 32

    def features(self, image: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the decoder's maps, the finest first."""
        maps = self._encoder()(image, train=train, kept=self.kept)
        found = self._decoder()(maps, train=train)
        if self.decoder != "deeplabv3plus":
            finest = blocks.ChannelDropout(self.dropout)(found[0], train=train)
            found = [finest, *found[1:]]
        return [self.kept(x) for x in found]

    def logits(self, features: jax.Array, channels: int) -> jax.Array:
        """Returns those of a 3×3 convolution, or of a 1×1 one at 1/4, enlarged."""
        if self.decoder in _FULL:
            return nn.Conv(channels, (3, 3))(features.astype(jnp.float32))
        return resample.bilinear_aligned(super().logits(features, channels), 4)

    def _encoder(self) -> nn.Module:
        fields = {"output_stride": 16} if self.decoder == "deeplabv3plus" else {}
        return encoders.build(
            self.encoder,
            width=self.encoder_width,
            norm=self.norm,
            dtype=self.dtype,
            name="encoder",
            **fields,
        )

    def _decoder(self) -> nn.Module:
        made = DECODERS[self.decoder]
        fields: dict[str, Any] = {
            "attention": self.attention,
            "norm": self.norm,
            "dropout": self.dropout,
            "centre": self.encoder.startswith("vgg"),
        }
        known = {field.name for field in dataclasses.fields(made)}
        fields = {name: value for name, value in fields.items() if name in known}
        if self.decoder_widths:
            fields["widths"] = self.decoder_widths
        return made(**fields, dtype=self.dtype, name="decoder")
