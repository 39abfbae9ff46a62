"""The V1 components' layers against PyTorch in float64: outputs and every gradient.

The golden cases have few arguments; these have the others: strides, dilation, groups, rectangular
windows, clamped entries. Left out where PyTorch is not installed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error

from tfbio import layers
from tfbio.weights.origin import tensors_of
from tfbio.weights.tensor_map import Target

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
functional = torch.nn.functional


def _compare(layer, image, parameters, equation):
    """Both sides with the same parameters, given in PyTorch's layout."""
    layer.build(image.shape)
    targets = {n: t for n, t in tensors_of(layer) if isinstance(t, Target)}
    assert set(targets) == set(parameters)
    for name, target in targets.items():
        assert target.file_shape == parameters[name].shape
        target.variable.assign(target.from_file(parameters[name]))
    theirs = {name: torch.tensor(v, requires_grad=True) for name, v in parameters.items()}
    theirs_image = torch.tensor(image.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    expected = equation(theirs_image, theirs)
    cotangent = np.random.default_rng(1).standard_normal(tuple(expected.shape))
    (expected * torch.tensor(cotangent)).sum().backward()
    ours_image = tf.constant(image)
    with tf.GradientTape() as tape:
        tape.watch(ours_image)
        output = layer(ours_image)
        loss = tf.reduce_sum(output * cotangent.transpose(0, 2, 3, 1))
    variables = {name: target.variable.value for name, target in targets.items()}
    of_image, gradients = tape.gradient(loss, (ours_image, variables))
    assert layer.compute_output_shape(image.shape) == tuple(output.shape)
    assert relative_error(output, expected.detach().numpy().transpose(0, 2, 3, 1)) < 1e-10
    assert relative_error(of_image, theirs_image.grad.numpy().transpose(0, 2, 3, 1)) < 1e-10
    for name, target in targets.items():
        gradient = target.to_file(np.asarray(gradients[name]))
        assert relative_error(gradient, theirs[name].grad.numpy()) < 1e-10, name


@pytest.mark.parametrize(
    ("channels", "filters", "k", "strides", "padding", "dilation", "groups", "bias"),
    [
        (3, 4, 1, 1, 1, 1, 1, True),
        (4, 6, 2, 2, 2, 1, 2, True),
        (4, 8, 1, (2, 3), (0, 2), 1, 4, False),
        (6, 6, 2, 2, 4, 2, 3, True),
        (2, 2, 3, 1, (6, 3), (2, 1), 1, True),
        (2, 3, 0, 1, 0, 1, 1, True),
    ],
)
def test_dog_convolution(channels, filters, k, strides, padding, dilation, groups, bias):
    rng = np.random.default_rng(0)
    shape = (filters * channels // groups, 1, 1)
    parameters = {
        "sigma1": rng.uniform(-0.2, 2, shape),
        "sigma2_scale": rng.uniform(0.8, 2.2, shape),
        "total_scale": 2 * rng.standard_normal(shape),
        **({"bias": rng.standard_normal(filters)} if bias else {}),
    }
    side = 2 * k + 1
    y, x = np.mgrid[:side, :side] - k
    squared = torch.tensor(x**2.0 + y**2.0)

    def equation(image, p):
        s1 = torch.clamp(p["sigma1"], min=0.1)
        s2 = s1 * torch.clamp(p["sigma2_scale"], min=1.0001)
        lobes = s1 / math.pi * torch.exp(-squared / s1) - s2 / math.pi * torch.exp(-squared / s2)
        kernel = functional.normalize(p["total_scale"] * lobes, dim=0)
        kernel = kernel.reshape(filters, channels // groups, side, side)
        return functional.conv2d(image, kernel, p.get("bias"), strides, padding, dilation, groups)

    layer = layers.DoGConv2D(
        filters,
        side,
        strides,
        padding,
        dilation,
        groups,
        bias,
        upstream_exact=True,
        dtype="float64",
    )
    _compare(layer, rng.standard_normal((2, 13, 12, channels)), parameters, equation)


@pytest.mark.parametrize(
    ("window", "strides", "padding", "size"),
    [
        ((3, 3), (1, 1), (1, 1), (6, 7)),
        ((2, 3), (2, 1), (0, 2), (7, 6)),
        ((5, 1), (3, 2), (2, 0), (11, 9)),
        ((3, 3), (4, 4), (1, 1), (9, 10)),
        ((1, 1), (2, 3), (0, 0), (6, 7)),
        ((2, 2), (5, 5), (0, 0), (8, 12)),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_local_receptive_fields(window, strides, padding, size, bias):
    rng = np.random.default_rng(0)
    rows, columns = (
        (n + 2 * p - w) // s + 1 for n, p, w, s in zip(size, padding, window, strides, strict=True)
    )
    parameters = {"weight": rng.standard_normal((1, 3, 2, rows, columns, math.prod(window)))}
    if bias:
        parameters["bias"] = rng.standard_normal((1, 3, rows, columns))

    def equation(image, p):
        padded = functional.pad(image, (padding[1], padding[1], padding[0], padding[0]))
        patches = padded.unfold(2, window[0], strides[0]).unfold(3, window[1], strides[1])
        patches = patches.reshape(*patches.shape[:4], -1)
        return torch.einsum("ncijk,ocijk->noij", patches, p["weight"][0]) + p.get("bias", 0)

    layer = layers.LocallyConnected2D(3, window, strides, padding, use_bias=bias, dtype="float64")
    _compare(layer, rng.standard_normal((2, *size, 2)), parameters, equation)


@pytest.mark.parametrize(("k", "channels"), [(1, 3), (3, 5), (5, 4), (7, 2)])
def test_gaussian_normalization(k, channels):
    rng = np.random.default_rng(0)
    shape = (channels, channels, 1, 1)
    parameters = {
        "A": rng.standard_normal(shape),
        "rho": rng.uniform(-1, 2, shape),
        "sigma": rng.uniform(-1, 2, shape),
        "theta": rng.uniform(0, 2 * math.pi, shape),
        "v": k // 2 + rng.standard_normal(shape),
        "w": k // 2 + rng.standard_normal(shape),
        "bias": np.array([-1.3]),
    }
    rows, columns = (torch.tensor(each * 1.0) for each in np.mgrid[1 : k + 1, 1 : k + 1])

    def equation(image, p):
        cosine, sine = torch.cos(p["theta"]), torch.sin(p["theta"])
        along = columns * cosine + rows * sine - p["v"]
        across = -columns * sine + rows * cosine - p["w"]
        distance = along**2 / torch.clamp(p["rho"] ** 2, min=0.1)
        distance = distance + across**2 / torch.clamp(p["sigma"] ** 2, min=0.1)
        area = torch.clamp(2 * math.pi * p["rho"] * p["sigma"], min=0.1)
        pool = torch.abs(p["A"] / area) * torch.exp(-distance / 2)
        return image / (functional.conv2d(image, pool, padding=k // 2) + torch.abs(p["bias"]))

    layer = layers.GaussianDivNorm(k, upstream_exact=True, dtype="float64")
    _compare(layer, rng.uniform(0, 2, (2, 6, 7, channels)), parameters, equation)


@pytest.mark.parametrize("channels", [2, 3, 9, 20])
def test_tuned_normalization(channels):
    rng = np.random.default_rng(0)
    parameters = {"sigmas": rng.uniform(-0.3, channels / 4 + 1, channels)}
    index = torch.arange(channels)
    distance = ((index[None] - index[:, None]) % channels - channels // 2).abs().double()

    def equation(image, p):
        sigma = torch.clamp(p["sigmas"], min=0.5)[None]
        gaussian = torch.exp(-(distance**2) / (2 * sigma**2)) / (2.5066 * sigma)
        weights = gaussian / gaussian.sum(0, keepdim=True)
        return image / (1 + functional.conv2d(image, weights[:, :, None, None]))

    layer = layers.TunedDivNorm(dtype="float64")
    _compare(layer, rng.uniform(0, 2, (2, 4, 3, channels)), parameters, equation)
