"""BLConv2D: a convolution with bottom-up and lateral connections."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.errors import InputError


@keras.saving.register_keras_serializable(package="tfbio")
class BLConv2D(keras.layers.Layer):
    """Convolution of the current bottom-up input plus one of the layer's own last activity.

    Equation, for time step t (`*` is convolution, same padding, stride 1, no bias):

        drive(t) = B * inputs(t) + L * lateral(t - 1),    L term absent at t = 0

    B stands for the bottom-up connections of a visual area, L for the lateral ones between
    neighbouring columns of the same area; both are learned, and both are shared over time. A BL
    network normalises and rectifies the drive, with statistics of their own for every time step.

    The three operations are layers of their own, `bottom_up`, `recurrent` and `total`. A model
    may call them one by one, for instance to convolve a static image only once; the names they
    get (`<name>_BConv`, `<name>_LConv`, `<name>_ConvSum`) are those of the original's weight files.

    Args:
        filters: number of output channels.
        kernel_size: an int or a pair, the window of both convolutions.
        kernel_initializer: initializer of the bottom-up kernel B.
        recurrent_initializer: initializer of the lateral kernel L.
        kernel_regularizer: regularizer of both kernels.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        `inputs`: (N, H, W, C). `lateral`, if given: (N, H, W, filters).

    Output shape:
        (N, H, W, filters)

    Raises:
        InputError: `filters` or `kernel_size` is not positive, or `lateral` has another shape
            than the output.

    Reference:
        Spoerer, Kietzmann, Mehrer, Charest, Kriegeskorte (2020), "Recurrent neural networks can
        explain flexible trading of speed and accuracy in biological vision",
        doi:10.1371/journal.pcbi.1008215

    Upstream:
        rcnn-sat, `BLConvLayer`, which is a plain object around the same three layers. No known
        difference.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.BLConv2D(filters=4, kernel_size=3)
        >>> image = keras.random.uniform((2, 8, 8, 3))
        >>> activity = keras.ops.relu(layer(image))
        >>> activity = keras.ops.relu(layer(image, lateral=activity))
        >>> tuple(activity.shape)
        (2, 8, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bottom_up = self._convolution("BConv", self.kernel_initializer)
        self.recurrent = self._convolution("LConv", self.recurrent_initializer)
        self.total = keras.layers.Add(name=f"{self.name}_ConvSum", dtype=self.dtype_policy)

    def _convolution(self, suffix: str, initializer: Any) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            self.filters,
            self.kernel_size,
            padding="same",
            use_bias=False,
            data_format="channels_last",
            kernel_initializer=initializer,
            kernel_regularizer=self.kernel_regularizer,
            name=f"{self.name}_{suffix}",
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape, lateral_shape=None):
        if lateral_shape is not None and lateral_shape[-1] != self.filters:
            raise InputError(
                f"Expected `lateral` to have {self.filters} channels, as the output of "
                f"{self.name!r} has; received shape {tuple(lateral_shape)}. Pass the layer's own "
                "activity of the time step before."
            )
        self.bottom_up.build(inputs_shape)
        self.recurrent.build((*inputs_shape[:-1], self.filters))

    def call(self, inputs, lateral=None):
        drive = self.bottom_up(inputs)
        if lateral is None:
            return drive
        if lateral.shape[1:] != drive.shape[1:]:
            raise InputError(
                f"Expected `lateral` of shape {tuple(drive.shape)}, received "
                f"{tuple(lateral.shape)}. Pass the layer's own activity of the time step before."
            )
        return self.total([drive, self.recurrent(lateral)])

    def compute_output_shape(self, inputs_shape, lateral_shape=None):
        return (*inputs_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
