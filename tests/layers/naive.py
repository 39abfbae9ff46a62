"""Convolution by loops over pixels, NumPy float64: what the layers are compared with."""

from __future__ import annotations

import math

import numpy as np


def cross_correlate(image, kernel, strides=(1, 1), zeros=((0, 0), (0, 0)), dilation=(1, 1)):
    """Cross-correlation of (N, H, W, C) with (height, width, C, filters).

    Args:
        image: float64.
        kernel: float64.
        strides: rows, columns.
        zeros: ((top, bottom), (left, right)).
        dilation: rows, columns.
    """
    height, width, _, filters = kernel.shape
    padded = np.pad(image, ((0, 0), *zeros, (0, 0)))
    reach = (dilation[0] * (height - 1) + 1, dilation[1] * (width - 1) + 1)
    rows = (padded.shape[1] - reach[0]) // strides[0] + 1
    columns = (padded.shape[2] - reach[1]) // strides[1] + 1
    output = np.zeros((len(image), rows, columns, filters))
    for i in range(rows):
        for j in range(columns):
            for a in range(height):
                for b in range(width):
                    y, x = i * strides[0] + a * dilation[0], j * strides[1] + b * dilation[1]
                    output[:, i, j] += padded[:, y, x] @ kernel[a, b]
    return output


def gabor_bank(size, channels, colors, sf, theta, sigma_x, sigma_y, phase):
    """Gabor filters, pixel by pixel: x runs down the rows, y along the columns.

    Args:
        size: side of the filters, odd.
        channels: the channel that each filter sees.
        colors: number of channels.
        sf, theta, sigma_x, sigma_y, phase: of each filter; cycles per pixel, pixels, radians.

    Returns:
        float64 (size, size, colors, filters)
    """
    kernel = np.zeros((size, size, colors, len(channels)))
    for f, channel in enumerate(channels):
        for row in range(size):
            for column in range(size):
                x, y = row - size // 2, column - size // 2
                u = x * math.cos(theta[f]) + y * math.sin(theta[f])
                v = -x * math.sin(theta[f]) + y * math.cos(theta[f])
                envelope = math.exp(-0.5 * (u**2 / sigma_x[f] ** 2 + v**2 / sigma_y[f] ** 2))
                envelope /= 2 * math.pi * sigma_x[f] * sigma_y[f]
                carrier = math.cos(2 * math.pi * sf[f] * u + phase[f])
                kernel[row, column, channel, f] = envelope * carrier
    return kernel
