"""LocallyConnected2D: receptive fields whose weights are not shared over space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import (
    Pair,
    check_padding,
    count,
    output_sizes,
    pair,
    per_axis,
    zeros_around,
)


@keras.saving.register_keras_serializable(package="tfbio")
class LocallyConnected2D(keras.layers.Layer):
    """Receptive fields laid out as in a convolution, each with weights of its own.

    Equation, for the output at row i, column j, with a, b running over the window and c over
    the input channels (P is the padded input, s the strides):

        outputs[i, j] = activation( sum_abc P[i s + a, j s + b, c] K[i, j, a, b, c] + bias[i, j] )

    A neuron of the visual cortex sees one small part of the visual field through synapses of its
    own: receptive fields are local, and nothing ties them to those at other places. A convolution
    keeps the locality and adds the tie; here every place learns its own features.

    Arguments, defaults and weight shapes are those of Keras 2's layer of this name, which Keras 3
    left out. The kernel has shape (H' * W', height * width * C, filters), the elements of a window
    in the order row, column, channel; the bias has shape (H', W', filters).

    Args:
        filters: number of output channels.
        kernel_size: an int or a pair, height and width of the receptive field, pixels.
        strides: an int or a pair, distance of neighbouring receptive fields, pixels.
        padding: `"valid"` for none; `"same"` for ceil(size / stride) outputs, window i being the
            one whose element `kernel_size // 2` lies on pixel i * stride (Keras 2's rule, which
            for even windows or strides above 1 is not `Conv2D`'s); or the number of zeros on
            either side, an int or a pair for height and width, as in PyTorch.
        data_format: None or `"channels_last"`.
        activation: of the outputs.
        use_bias: whether every output has a bias.
        kernel_initializer: initializer of the kernel. Those that scale with the fans (Glorot, He,
            LeCun, `VarianceScaling`) take the fans of one receptive field: height * width * C
            inputs, `filters` outputs.
        bias_initializer: initializer of the bias.
        kernel_regularizer: regularizer of the kernel.
        bias_regularizer: regularizer of the bias.
        activity_regularizer: regularizer of the outputs.
        kernel_constraint: constraint on the kernel.
        bias_constraint: constraint on the bias.
        implementation: 1, 2 or 3, for configurations of Keras 2, which had three ways to compute
            the same outputs. Here it changes nothing; `kernel_from_keras2` reads all three.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C); H, W and C are fixed when the layer is built.

    Output shape:
        (N, H', W', filters), for instance H' = (H - height) // stride + 1 with `"valid"`.

    Raises:
        InputError: an argument is out of range; the height, width or number of channels of the
            inputs is unknown or not what the layer was built for; or the window is larger than
            the padded input.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), "Explaining V1 Properties with a Biologically
        Constrained Deep Learning Architecture", NeurIPS, doi:10.48550/arXiv.2305.11275.
        Arguments and weights: `LocallyConnected2D` of Keras 2.

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/LocallyConnected2d.py. Its weight
        [1, filters, C, H', W', height * width] becomes the kernel by transposing to
        (H', W', height * width, C, filters) and reshaping; its bias [1, filters, H', W'] by moving
        the filters last. It draws both from N(0, 1) whatever the fan-in
        (`keras.initializers.RandomNormal(stddev=1.0)` here), and has no bias unless asked.
        Keras 2 counted the positions as part of the fans, so Glorot, He and LeCun kernels started
        sqrt(H' W') times smaller than here. It refused `"same"` with `implementation=1`.

    Example:
        >>> import keras
        >>> layer = LocallyConnected2D(filters=4, kernel_size=3, strides=2, padding=1)
        >>> image = keras.random.uniform((2, 8, 8, 3))
        >>> tuple(layer(image).shape)
        (2, 4, 4, 4)
        >>> [tuple(weight.shape) for weight in layer.weights]
        [(16, 27, 4), (4, 4, 4)]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = (1, 1),
        padding: str | int | Pair = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        implementation: int = 1,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if data_format not in (None, "channels_last"):
            raise InputError(
                f"Expected `data_format` to be None or 'channels_last', received {data_format!r}; "
                "transpose the inputs to (N, H, W, C)."
            )
        if implementation not in (1, 2, 3):
            raise InputError(
                f"Expected `implementation` to be 1, 2 or 3, received {implementation!r}; "
                "all three compute the same."
            )
        self.filters = count(filters, "filters")
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.strides = pair(strides, "strides")
        self.padding = check_padding(padding)
        self.data_format = data_format
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.implementation = implementation
        self.kernel: Any = None
        self.bias: Any = None
        self._built_for: tuple[int, ...] | None = None

    def build(self, inputs_shape):
        rows, columns = self._positions(inputs_shape)
        channels = inputs_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rows * columns, math.prod(self.kernel_size) * channels, self.filters),
            initializer=self._scaled_for_one_position(rows * columns),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(rows, columns, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self._built_for = tuple(inputs_shape[1:])

    @property
    def output_size(self) -> Pair:
        """Rows and columns of receptive fields, of a layer that is built."""
        if self._built_for is None:
            raise InputError(f"Expected {self.name!r} to be built before its size is asked for.")
        return self._positions((None, *self._built_for))

    def _scaled_for_one_position(self, positions: int) -> Callable[..., Any]:
        """The kernel's initializer, with the fans of one receptive field."""
        initializer = self.kernel_initializer
        scales = isinstance(initializer, keras.initializers.VarianceScaling)
        if not scales or getattr(initializer, "input_axes", None) is not None:
            return initializer
        # Keras takes the first axis for pixels of the window, and multiplies both fans by it.
        return lambda shape, dtype=None: initializer(shape, dtype=dtype) * math.sqrt(positions)

    def call(self, inputs):
        rows, columns = self._positions(inputs.shape)
        windows = self._windows(inputs, rows, columns)
        windows = ops.reshape(windows, (rows * columns, -1, self.kernel.shape[1]))
        outputs = ops.transpose(ops.matmul(windows, self.kernel), (1, 0, 2))
        outputs = ops.reshape(outputs, (-1, rows, columns, self.filters))
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def _windows(self, inputs: Any, rows: int, columns: int) -> Any:
        """The inputs of every receptive field, (H', W', N, height * width * C).

        Pixels lie along the first axes, so that a window element is a few long copies and no
        product needs a transposed patch. Where strides exceed 1, pixel i * stride + a becomes
        (i + a // stride, a % stride): every element is then a contiguous slice, the gradient of
        which TensorFlow computes several times faster than that of a strided one.
        """
        grid, around, stop = [], [], []
        for size, number, (before, _), window, stride in zip(
            inputs.shape[1:3],
            (rows, columns),
            self._zeros(inputs.shape),
            self.kernel_size,
            self.strides,
            strict=True,
        ):
            steps = number + (window - 1) // stride
            after = steps * stride - before - size
            grid += [steps, stride]
            around.append((before, max(after, 0)))
            stop.append(size + min(after, 0))
        # Pixels beyond the last window are left out.
        if tuple(stop) != tuple(inputs.shape[1:3]):
            inputs = inputs[:, : stop[0], : stop[1]]
        pixels = ops.transpose(inputs, (1, 2, 0, 3))
        pixels = ops.pad(pixels, [*around, (0, 0), (0, 0)])
        channels = inputs.shape[-1]
        pixels = ops.reshape(pixels, (*grid, -1, channels))
        number = ops.shape(inputs)[0]
        elements = [
            ops.slice(
                pixels,
                (
                    row // self.strides[0],
                    row % self.strides[0],
                    column // self.strides[1],
                    column % self.strides[1],
                    0,
                    0,
                ),
                (rows, 1, columns, 1, number, channels),
            )
            for row in range(self.kernel_size[0])
            for column in range(self.kernel_size[1])
        ]
        return elements[0] if len(elements) == 1 else ops.concatenate(elements, axis=-1)

    def kernel_from_keras2(self, array: Any, data_format: str = "channels_last") -> np.ndarray:
        """A kernel saved by Keras 2's layer, in the layout of this layer's `kernel`.

        The number of axes tells which of Keras 2's implementations wrote it: 3 axes are those of
        implementation 1, 6 are implementation 2's (one weight for every pair of input and output,
        most of them unused), 1 is implementation 3's (the used weights alone). Weights of window
        elements outside the image, which implementation 3 does not store, are 0; they multiply
        zeros. A bias needs no conversion, but for a channels-first layer's: its shape is that of
        ours, its values are in the order (filters, H', W').

        Args:
            array: the kernel in the file.
            data_format: of the layer that wrote it. `"channels_first"` orders the weights in
                another way, often in an array of the same shape, so it has to be said.

        Returns:
            (H' * W', height * width * C, filters), of the dtype of `array`.

        Raises:
            InputError: the layer is not built, or `array` has none of the three shapes.

        Example:
            >>> layer = LocallyConnected2D(filters=2, kernel_size=3, padding="same")
            >>> layer.build((None, 4, 4, 1))
            >>> layer.kernel_from_keras2(np.ones((4, 4, 1, 4, 4, 2))).shape
            (16, 9, 2)
        """
        if self._built_for is None:
            raise InputError(
                f"Expected {self.name!r} to be built before a kernel is converted for it; "
                "call it, or `build` it with the shape of its inputs."
            )
        if data_format not in ("channels_last", "channels_first"):
            raise InputError(
                "Expected `data_format` to be 'channels_last' or 'channels_first', received "
                f"{data_format!r}; it is an argument of the layer that wrote the kernel."
            )
        array = np.asarray(array)
        shape = (None, *self._built_for)
        height, width, channels = self._built_for
        rows, columns = self._positions(shape)
        first = data_format == "channels_first"

        # Per axis (window, element): the pixel, and whether it is one of the image.
        pixels = [
            np.arange(number)[:, None] * stride + np.arange(window) - before
            for number, window, stride, (before, _) in zip(
                (rows, columns), self.kernel_size, self.strides, self._zeros(shape), strict=True
            )
        ]
        down, across = (
            (pixel >= 0) & (pixel < size)
            for pixel, size in zip(pixels, (height, width), strict=True)
        )
        inside = down[:, None, :, None] & across[None, :, None, :]

        layouts: dict[int, tuple[int, ...]] = {
            1: tuple(self.kernel.shape),
            2: (height, width, channels, rows, columns, self.filters),
            3: (int(inside.sum()) * channels * self.filters,),
        }
        if first:
            layouts[2] = (channels, height, width, self.filters, rows, columns)
        found = [layout for layout, expected in layouts.items() if array.shape == expected]
        if not found:
            raise InputError(
                f"Expected the kernel of {self.name!r} in one of Keras 2's shapes "
                f"{layouts[1]}, {layouts[2]} or {layouts[3]} (implementations 1, 2 and 3, "
                f"{data_format}), received {array.shape}. Check that the layer has the arguments "
                "and the input size of the one that was saved."
            )

        # windows: (rows, columns, height, width, channels, filters) of the receptive fields.
        if found == [1]:
            windows = array
            if first:
                windows = array.reshape(rows * columns, channels, -1, self.filters)
                windows = windows.transpose(0, 2, 1, 3)
        elif found == [2]:
            dense = array.transpose(1, 2, 0, 4, 5, 3) if first else array
            windows = dense[
                pixels[0].clip(0, height - 1)[:, None, :, None],
                pixels[1].clip(0, width - 1)[None, :, None, :],
                :,
                np.arange(rows)[:, None, None, None],
                np.arange(columns)[None, :, None, None],
            ]
            windows = np.where(inside[..., None, None], windows, array.dtype.type(0))
        else:
            # The values are sorted by output, then by input, each counted in C order.
            if first:
                used = np.broadcast_to(
                    inside[None, :, :, None],
                    (self.filters, rows, columns, channels, *self.kernel_size),
                )
                order = (1, 2, 4, 5, 3, 0)
            else:
                used = np.broadcast_to(
                    inside[:, :, None, :, :, None],
                    (rows, columns, self.filters, *self.kernel_size, channels),
                )
                order = (0, 1, 3, 4, 5, 2)
            windows = np.zeros(used.shape, array.dtype)
            windows[used] = array
            windows = windows.transpose(order)
        return np.ascontiguousarray(windows).reshape(layouts[1])

    def _zeros(self, inputs_shape: Any) -> list[Pair]:
        """Zeros before and after the rows, and before and after the columns."""
        if self.padding == "same":
            # Where Keras 2 puts them; files of its implementations 2 and 3 depend on it.
            return [
                (
                    window // 2,
                    max((-(-size // stride) - 1) * stride + window - window // 2 - size, 0),
                )
                for size, window, stride in zip(
                    inputs_shape[1:3], self.kernel_size, self.strides, strict=True
                )
            ]
        return [
            zeros_around(*axis)
            for axis in zip(
                inputs_shape[1:3],
                self.kernel_size,
                self.strides,
                per_axis(self.padding),
                strict=True,
            )
        ]

    def _positions(self, inputs_shape: Any) -> Pair:
        """Rows and columns of receptive fields, after checking the inputs' shape."""
        shape = tuple(inputs_shape)
        if len(shape) != 4 or None in shape[1:]:
            raise InputError(
                f"Expected inputs (N, H, W, C) of known height, width and channels, since "
                f"{self.name!r} has weights for every place; received shape {shape}. Fix the "
                "size, for instance with `keras.Input((H, W, C))`."
            )
        if self._built_for is not None and shape[1:] != self._built_for:
            raise InputError(
                f"Expected inputs of (H, W, C) = {self._built_for}, for which {self.name!r} was "
                f"built, received {shape[1:]}. Resize the inputs, or make another layer."
            )
        rows, columns = output_sizes(shape, self.kernel_size, self.strides, self.padding, self.name)
        return rows or 0, columns or 0

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], *self._positions(inputs_shape), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "implementation": self.implementation,
        }
