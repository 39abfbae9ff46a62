"""VOneBlock and VOneNets in plain PyTorch, computed the way the original computes them.

Written from the equations, not copied, as `pytorch_forms.py`. The filters have no gradient.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pytorch_forms import stage
from torch import nn
from torch.nn import functional

_VARIANCE_AT_ZERO = 1e-4


# === Front end ===


class GaborBank(nn.Module):
    """One dense convolution with all filters, each of which is zero for two of three colours."""

    def __init__(self, filters: int, kernel_size: int, stride: int):
        super().__init__()
        self.stride = stride
        self.padding = kernel_size // 2
        shape = (filters, 3, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(shape), requires_grad=False)

    def forward(self, image):
        return functional.conv2d(image, self.weight, stride=self.stride, padding=self.padding)


class VOneBlock(nn.Module):
    """Both phases of all filters, simple and complex cells, noise.

    Args:
        noise_mode: `"neuronal"`, or None for no noise.
        noise_scale: spikes per unit of response.
        noise_level: spontaneous activity.
        simple_channels: number of simple cells at each place.
        complex_channels: number of complex cells at each place.
        kernel_size: side of the filters.
        stride: of the filters.
        k_exc: gain.
    """

    def __init__(
        self,
        noise_mode: Literal["neuronal"] | None = None,
        noise_scale: float = 0.35,
        noise_level: float = 0.07,
        simple_channels: int = 256,
        complex_channels: int = 256,
        kernel_size: int = 25,
        stride: int = 4,
        k_exc: float = 25.0,
    ):
        super().__init__()
        self.noise_mode = noise_mode
        self.noise_scale = noise_scale
        self.noise_level = noise_level
        self.simple_channels = simple_channels
        self.k_exc = k_exc
        filters = simple_channels + complex_channels
        self.simple_conv_q0 = GaborBank(filters, kernel_size, stride)
        self.simple_conv_q1 = GaborBank(filters, kernel_size, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, image, noise=None):
        q0, q1 = self.simple_conv_q0(image), self.simple_conv_q1(image)
        simple = self.relu(q0[:, : self.simple_channels])
        even, odd = q0[:, self.simple_channels :], q1[:, self.simple_channels :]
        cells = torch.cat((simple, torch.sqrt(even**2 + odd**2) / math.sqrt(2)), dim=1)
        responses = self.k_exc * cells
        if self.noise_mode == "neuronal":
            responses = self.noisy(responses, noise)
        return self.relu(responses)

    def noisy(self, responses, noise=None):
        """Gaussian noise whose variance is the mean, in place."""
        if noise is None:
            # A third of the time of torch.distributions.Normal(...).rsample.
            noise = torch.randn_like(responses)
        responses *= self.noise_scale
        responses += self.noise_level
        responses += noise * torch.sqrt(functional.relu(responses) + _VARIANCE_AT_ZERO)
        responses -= self.noise_level
        responses /= self.noise_scale
        return responses


# === Networks ===


class VOneNet(nn.Module):
    """The front end without noise, the bottleneck, and a network without its stem.

    Args:
        back_end: `"resnet50"` or `"cornet_s"`.
        classes: number of logits.
    """

    def __init__(self, back_end: Literal["resnet50", "cornet_s"], classes: int = 1000):
        super().__init__()
        self.vone_block = VOneBlock()
        self.bottleneck = nn.Conv2d(512, 64, 1, bias=False)
        self.model = _BACK_ENDS[back_end](classes)

    def forward(self, image):
        return self.model(self.bottleneck(self.vone_block(image)))


class ResNet50BackEnd(nn.Module):
    """The four stages of ResNet50 and the readout."""

    def __init__(self, classes: int):
        super().__init__()
        self.layer1 = stage(64, 64, 3, stride=1)
        self.layer2 = stage(256, 128, 4)
        self.layer3 = stage(512, 256, 6)
        self.layer4 = stage(1024, 512, 3)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, classes)

    def forward(self, inputs):
        outputs = inputs
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            outputs = layer(outputs)
        return self.fc(torch.flatten(self.avgpool(outputs), 1))


class CORnetSBackEnd(nn.Module):
    """V2, V4 and IT of CORnet-S and the readout."""

    def __init__(self, classes: int):
        super().__init__()
        self.V2 = RecurrentArea(64, 128, times=2)
        self.V4 = RecurrentArea(128, 256, times=4)
        self.IT = RecurrentArea(256, 512, times=2)
        self.decoder = nn.ModuleDict({"linear": nn.Linear(512, classes)})
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, inputs):
        pooled = self.avgpool(self.IT(self.V4(self.V2(inputs))))
        return self.decoder["linear"](torch.flatten(pooled, 1))


class RecurrentArea(nn.Module):
    """Convolutions that all time steps share, and normalizations of each time step."""

    def __init__(self, channels: int, filters: int, times: int):
        super().__init__()
        self.times = times
        self.conv_input = nn.Conv2d(channels, filters, 1, bias=False)
        self.skip = nn.Conv2d(filters, filters, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(filters)
        self.conv1 = nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.conv2 = nn.Conv2d(4 * filters, 4 * filters, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(4 * filters, filters, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        for t in range(times):
            self.add_module(f"norm1_{t}", nn.BatchNorm2d(4 * filters))
            self.add_module(f"norm2_{t}", nn.BatchNorm2d(4 * filters))
            self.add_module(f"norm3_{t}", nn.BatchNorm2d(filters))

    def forward(self, inputs):
        state = self.conv_input(inputs)
        for t in range(self.times):
            norm1, norm2, norm3 = (getattr(self, f"norm{i}_{t}") for i in (1, 2, 3))
            skip = self.norm_skip(self.skip(state)) if t == 0 else state
            # The area halves its map once.
            self.conv2.stride = (2, 2) if t == 0 else (1, 1)
            state = self.relu(norm1(self.conv1(state)))
            state = self.relu(norm2(self.conv2(state)))
            state = norm3(self.conv3(state))
            state += skip
            state = self.relu(state)
        return state


_BACK_ENDS = {"resnet50": ResNet50BackEnd, "cornet_s": CORnetSBackEnd}
