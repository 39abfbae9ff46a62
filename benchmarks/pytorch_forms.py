"""The V1 components and ResNet50s in plain PyTorch, computed the way the original computes them.

Written from the equations, not copied: this is the other side of the measurement. Names of
parameters and buffers are the original's. Parameters are empty until a state dict is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


def _parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


# === Components ===


class LocallyConnected2d(nn.Module):
    """Multiplies out N x O x C x rows x columns x window by broadcasting, and sums."""

    def __init__(self, channels: int, filters: int, output_size: Sequence[int], kernel_size: int):
        super().__init__()
        self.kernel_size = kernel_size
        self.weight = _parameter(1, filters, channels, *output_size, kernel_size**2)

    def forward(self, inputs):
        size = self.kernel_size
        padded = functional.pad(inputs, (size // 2,) * 4)
        windows = padded.unfold(2, size, 1).unfold(3, size, 1)
        windows = windows.contiguous().view(*windows.shape[:-2], -1)
        return (windows.unsqueeze(1) * self.weight).sum([2, -1])


class PolarTransform(nn.Module):
    """Multiplies every image with every mask, some images at a time, and sums over the pixels."""

    def __init__(
        self,
        size: int,
        output_size: int,
        radii: Sequence[float],
        angles: int = 30,
        images_at_a_time: int = 32,
    ):
        super().__init__()
        self.output_size = output_size
        self.images_at_a_time = images_at_a_time
        self.map_size = (len(radii) - 1, angles)
        masks = _polar_masks(size, torch.tensor(radii), angles)
        counts = masks.sum(dim=(1, 2))
        counts[counts == 0] = 1
        self.register_buffer("pooling_masks", masks.half())
        self.register_buffer("pooling_mask_counts", counts.half())

    def forward(self, inputs):
        pooled = []
        for images in inputs.split(self.images_at_a_time):
            products = images.unsqueeze(2) * self.pooling_masks
            pooled.append(products.sum(dim=(-2, -1)) / self.pooling_mask_counts)
        polar = torch.cat(pooled).unflatten(-1, self.map_size)
        polar = functional.pad(polar, (1, 1, 0, 0), mode="reflect")
        return functional.interpolate(
            polar, (self.output_size, self.output_size), mode="bilinear", antialias=True
        )


def _polar_masks(size: int, radii: torch.Tensor, angles: int) -> torch.Tensor:
    """The masks (rings * angles, size, size), rings with empty ones resampled to be full."""
    pixel = torch.arange(size, dtype=torch.float32)
    # Not the negative of x: -0 has another angle than 0.
    y, x = torch.meshgrid(size // 2 - pixel, pixel - size // 2, indexing="ij")
    radius = torch.sqrt(x**2 + y**2)
    angle = torch.atan2(y, x)
    angle[y < 0] += 2 * math.pi
    edges = torch.linspace(0, 2 * math.pi, angles + 1, dtype=torch.float64).float()
    lower, upper = edges[:-1, None, None], edges[1:, None, None]
    sectors = (angle >= lower) & (angle < upper)
    rings = []
    for first, last in zip(radii[:-1].float(), radii[1:].float(), strict=True):
        masks = (sectors & (radius >= first) & (radius < last)).float()
        if first <= size // 2:
            present = masks[masks.sum(dim=(1, 2)) > 0]
            by_pixel = present.permute(1, 2, 0)
            masks = functional.interpolate(by_pixel, angles, mode="linear").permute(2, 0, 1)
        rings.append(masks)
    return torch.cat(rings)


class DoGConv2D(nn.Module):
    """Builds every kernel from three numbers, then convolves; no bias."""

    def __init__(self, channels: int, filters: int, radius: int):
        super().__init__()
        self.shape = (filters, channels, 2 * radius + 1, 2 * radius + 1)
        offset = torch.arange(2 * radius + 1, dtype=torch.float32) - radius
        kernels = filters * channels
        self.register_buffer("kernel_dists", offset[:, None] ** 2 + offset**2)
        self.sigma1 = _parameter(kernels, 1, 1)
        self.sigma2_scale = _parameter(kernels, 1, 1)
        self.total_scale = _parameter(kernels, 1, 1)
        self.register_buffer("bias", torch.zeros(filters))

    def forward(self, inputs):
        center = self.sigma1.clamp(min=0.1)
        surround = center * self.sigma2_scale.clamp(min=1.0001)
        kernels = self.total_scale * (
            center / math.pi * torch.exp(-self.kernel_dists / center)
            - surround / math.pi * torch.exp(-self.kernel_dists / surround)
        )
        kernels = functional.normalize(kernels, dim=0).view(self.shape)
        return functional.conv2d(inputs, kernels, self.bias, padding="same")


class CenterSurround(nn.Module):
    """Filters the first channels and concatenates the others."""

    def __init__(self, channels: int, radius: int):
        super().__init__()
        self.channels = channels
        self.dog_conv = DoGConv2D(channels, channels, radius)

    def forward(self, inputs):
        filtered = self.dog_conv(inputs[:, : self.channels])
        return torch.cat((filtered, inputs[:, self.channels :]), dim=1)


class GaussianDivNorm(nn.Module):
    """Builds a Gaussian of position for every pair of channels, then convolves."""

    def __init__(self, channels: int, kernel_size: int):
        super().__init__()
        self.kernel_size = kernel_size
        for name in ("A", "rho", "sigma", "theta", "v", "w"):
            self.register_parameter(name, _parameter(channels, channels, 1, 1))
        self.bias = _parameter(1)
        steps = torch.arange(1, kernel_size + 1, dtype=torch.float32)
        self.register_buffer("x_coords", steps.repeat(kernel_size, 1))
        self.register_buffer("y_coords", steps[:, None].repeat(1, kernel_size))

    def forward(self, inputs):
        cosine, sine = torch.cos(self.theta), torch.sin(self.theta)
        along = self.x_coords * cosine + self.y_coords * sine
        across = -self.x_coords * sine + self.y_coords * cosine
        distance = (along - self.v) ** 2 / (self.rho**2).clamp(min=0.1)
        distance = distance + (across - self.w) ** 2 / (self.sigma**2).clamp(min=0.1)
        area = (2 * math.pi * self.rho * self.sigma).clamp(min=0.1)
        pool = (self.A / area).abs() * torch.exp(-distance / 2)
        pooled = functional.conv2d(inputs, pool, padding=self.kernel_size // 2)
        return inputs / (pooled + self.bias.abs())


class OpponentChannelInhibition(nn.Module):
    """Builds the weights between channels, then convolves with a window of one pixel."""

    def __init__(self, channels: int):
        super().__init__()
        index = torch.arange(channels)
        distances = ((index - index[:, None]) % channels - channels // 2).abs().float()
        self.register_buffer("channel_distances", distances)
        self.sigmas = _parameter(channels)

    def forward(self, inputs):
        width = self.sigmas.clamp(min=0.5)
        weights = torch.exp(-(self.channel_distances**2) / (2 * width**2)) / (2.5066 * width)
        weights = weights / weights.sum(dim=0, keepdim=True)
        return inputs / (1 + functional.conv2d(inputs, weights[:, :, None, None]))


# === ResNet50 v1.5 ===


class ResNet50(nn.Module):
    """The network with the stride on the 3 x 3 convolution, for images of 64 x 64 pixels.

    Args:
        variant: `""` for the plain network, `"composite_a"`, `"tuned_norm"` or `"div_norm"`.
        classes: number of logits.
    """

    def __init__(self, variant: str, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        if variant == "composite_a":
            self.lpp = PolarTransform(32, 16, (*range(15), 16, 18, 20, 23))
        else:
            self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(
            *(
                Bottleneck(
                    64 if number == 0 else 256,
                    64,
                    1,
                    _first_stage_convolution(variant, number),
                    _normalization(variant),
                )
                for number in range(3)
            )
        )
        self.layer2 = stage(256, 128, 4)
        self.layer3 = stage(512, 256, 6)
        self.layer4 = stage(1024, 512, 3)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, classes)

    def forward(self, image):
        outputs = self.relu(self.bn1(self.conv1(image)))
        outputs = self.lpp(outputs) if hasattr(self, "lpp") else self.maxpool(outputs)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            outputs = stage(outputs)
        return self.fc(torch.flatten(self.avgpool(outputs), 1))


class Bottleneck(nn.Module):
    """1 x 1, a spatial convolution, 1 x 1, and the shortcut; then the normalization, if any."""

    def __init__(
        self,
        channels: int,
        filters: int,
        stride: int,
        spatial: nn.Module | None = None,
        normalization: nn.Module | None = None,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = spatial or nn.Conv2d(filters, filters, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * filters)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Identity()
        if channels != 4 * filters:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * filters, 1, stride, bias=False),
                nn.BatchNorm2d(4 * filters),
            )
        self.dn = normalization or nn.Identity()

    def forward(self, inputs):
        outputs = self.relu(self.bn1(self.conv1(inputs)))
        outputs = self.relu(self.bn2(self.conv2(outputs)))
        outputs = self.bn3(self.conv3(outputs))
        outputs += self.downsample(inputs)
        return self.dn(self.relu(outputs))


class ConvolutionAndDoG(nn.Module):
    """The 3 x 3 convolution and difference-of-Gaussians filters on a quarter of its channels."""

    def __init__(self, filters: int):
        super().__init__()
        self.conv = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.dog = CenterSurround(filters // 4, radius=2)

    def forward(self, inputs):
        return self.dog(self.conv(inputs))


def stage(channels: int, filters: int, blocks: int, stride: int = 2) -> nn.Sequential:
    """Blocks of which the first changes the number of channels and the size."""
    first = Bottleneck(channels, filters, stride)
    return nn.Sequential(first, *(Bottleneck(4 * filters, filters, 1) for _ in range(blocks - 1)))


def _first_stage_convolution(variant: str, number: int) -> nn.Module | None:
    if variant != "composite_a":
        return None
    return LocallyConnected2d(64, 64, (16, 16), 3) if number == 2 else ConvolutionAndDoG(64)


def _normalization(variant: str) -> nn.Module | None:
    if variant == "div_norm":
        return GaussianDivNorm(256, 3)
    return OpponentChannelInhibition(256) if variant in ("tuned_norm", "composite_a") else None
