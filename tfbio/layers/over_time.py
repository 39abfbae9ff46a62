"""OverTime: a layer without memory at every time step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError


@keras.saving.register_keras_serializable(package="tfbio")
class OverTime(keras.layers.Layer):
    """A layer without memory, the same at every time step.

    Equation: outputs(t) = layer(inputs(t)).

    Time steps are images of one large batch: `keras.layers.TimeDistributed` goes through them one
    by one, and refuses a single image. What mixes the images of a batch, such as batch
    normalization, has to see each time step by itself: `separately`.

    Args:
        layer: what maps (N, ...) to (N, ...), each image by itself.
        ndim: number of dimensions of the layer's own input, 4 for maps, 2 for vectors.
        separately: call the layer once for each time step.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, T, ...) with T known, or (N, ...) without time.

    Output shape:
        (N, T, ...), or (N, ...) without time.

    Raises:
        InputError: the inputs have another number of dimensions.

    Example:
        >>> import keras, tfbio
        >>> pool = tfbio.layers.OverTime(keras.layers.MaxPooling2D(2))
        >>> tuple(pool(keras.random.uniform((2, 3, 8, 8, 4))).shape)
        (2, 3, 4, 4, 4)
        >>> tuple(pool(keras.random.uniform((2, 8, 8, 4))).shape)
        (2, 4, 4, 4)
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        ndim: int = 4,
        separately: bool = False,
        **kwargs: Any,
    ):
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(**kwargs)
        self.layer = layer
        self.ndim = ndim
        self.separately = separately

    def build(self, inputs_shape):
        if not self.layer.built:
            self.layer.build(self._shape_of_step(inputs_shape))
            self.layer.built = True

    def call(self, inputs, training=None):
        # Keras hands `training` on to the layer, if it has such an argument.
        if len(self._shape_of_step(inputs.shape)) == len(inputs.shape):
            return self.layer(inputs)
        steps = inputs.shape[1]
        if self.separately:
            each_step = [self.layer(each) for each in ops.unstack(inputs, axis=1)]
            return ops.stack(each_step, axis=1)
        merged = ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))
        outputs = self.layer(merged)
        return ops.reshape(outputs, (-1, steps, *ops.shape(outputs)[1:]))

    def _shape_of_step(self, inputs_shape: Any) -> tuple[int | None, ...]:
        if len(inputs_shape) == self.ndim:
            return tuple(inputs_shape)
        if len(inputs_shape) != self.ndim + 1 or inputs_shape[1] is None:
            raise InputError(
                f"Expected inputs of {self.name!r} of {self.ndim} dimensions, or of one more with "
                f"a known number of time steps, received {tuple(inputs_shape)}."
            )
        return (inputs_shape[0], *inputs_shape[2:])

    def compute_output_shape(self, inputs_shape):
        outputs = self.layer.compute_output_shape(self._shape_of_step(inputs_shape))
        if len(inputs_shape) == self.ndim:
            return outputs
        return (outputs[0], inputs_shape[1], *outputs[1:])

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        # Read back, it is built by this one, so that weights keep their paths.
        layer.pop("build_config", None)
        return {
            **super().get_config(),
            "layer": layer,
            "ndim": self.ndim,
            "separately": self.separately,
        }

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})
