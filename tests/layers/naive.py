"""Convolution by loops over pixels, NumPy float64: what the layers are compared with."""

from __future__ import annotations

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
