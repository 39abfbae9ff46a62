"""What makes parts of a map and some of its channels more salient than others."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair, count
from tfbio.layers._reflection import reflected

AttentionKind = Literal["gala", "se", "sa"]
ATTENTIONS: tuple[AttentionKind, ...] = get_args(AttentionKind)


class Attention(keras.layers.Layer):
    """Salience of every unit of a map: its place's, its channel's, or their product.

        se = relu(V2 * relu(V1 * h))      (1 x 1 convolutions; not pooled over the map)
        sa = relu(W2 * relu(W1 * h))      (k x k, reflected at the border; W2 gives one channel)
        gala = sa . se

    Args:
        filters: number of channels C.
        kind: `"gala"`, `"se"` or `"sa"`.
        layers: number of convolutions of either path. Those of `se` halve the number of channels
            in the first half, then double it; those of `sa` halve it.
        saliency_kernel_size: of `sa`, pixels.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H, W, C)
    """

    def __init__(
        self,
        filters: int,
        kind: AttentionKind = "gala",
        layers: int = 2,
        saliency_kernel_size: Pair = (5, 5),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if kind not in ATTENTIONS:
            raise InputError(
                f"Expected `attention` to be one of {', '.join(ATTENTIONS)}, or None, received "
                f"{kind!r}."
            )
        layers = count(layers, "attention_layers")
        self.window = saliency_kernel_size
        self.se, self.sa = [], []
        if kind != "sa":
            self.se = [
                self._convolution(f"se_{index}", width, (1, 1))
                for index, width in enumerate(_se_filters(filters, layers))
            ]
        if kind != "se":
            self.sa = [
                self._convolution(f"sa_{index}", width, self.window)
                for index, width in enumerate(_sa_filters(filters, layers))
            ]

    def _convolution(self, name: str, filters: int, window: Pair) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            filters,
            window,
            activation="relu",
            data_format="channels_last",
            kernel_initializer="orthogonal",
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape):
        for path in (self.se, self.sa):
            channels = inputs_shape[-1]
            for layer in path:
                # Maps may be smaller than the kernels; they are reflected first.
                layer.build((inputs_shape[0], None, None, channels))
                channels = layer.filters

    def call(self, inputs):
        channel, place = inputs, inputs
        for layer in self.se:
            channel = layer(channel)
        for layer in self.sa:
            place = layer(reflected(place, self.window))
        if not self.se:
            return ops.broadcast_to(place, ops.shape(inputs))
        return channel * place if self.sa else channel


def _se_filters(filters: int, layers: int) -> list[int]:
    widths, width = [], filters
    for index in range(layers - 1):
        width = max(width // 2, 1) if index < layers // 2 else 2 * width
        widths.append(width)
    return [*widths, filters]


def _sa_filters(filters: int, layers: int) -> list[int]:
    return [*(max(filters // 2**index, 1) for index in range(1, layers)), 1]
