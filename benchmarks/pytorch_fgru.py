"""The fGRU in plain PyTorch, under the original's names."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional


class Path(nn.Module):
    """One path of the attention: convolutions, each rectified."""

    def __init__(self, widths: tuple[int, ...], kernel_size: int):
        super().__init__()
        layers: list[nn.Module] = []
        for channels, filters in itertools.pairwise(widths):
            layers.append(
                nn.Conv2d(
                    channels, filters, kernel_size, padding=kernel_size // 2, padding_mode="reflect"
                )
            )
            layers.append(nn.ReLU())
        self.attention = nn.Sequential(*layers)

    def forward(self, inputs):
        return self.attention(inputs)


class GALA(nn.Module):
    """Attention to places and channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.se = Path((channels, channels // 2, channels), 1)
        self.sa = Path((channels, channels // 2, 1), 5)

    def forward(self, inputs):
        return self.sa(inputs) * self.se(inputs)


class FGRU(nn.Module):
    """The state after all time steps of a static image (N, C, H, W)."""

    def __init__(self, channels: int, kernel_size: int = 3, timesteps: int = 8):
        super().__init__()
        self.timesteps = timesteps
        self.around = [(kernel_size - 1) // 2, kernel_size // 2] * 2
        for name, side in (
            ("conv_c1_w", kernel_size),
            ("conv_g2_w", 1),
            ("conv_c2_w", kernel_size),
        ):
            kernel = nn.Parameter(torch.empty(channels, channels, side, side))
            self.register_parameter(name, nn.init.orthogonal_(kernel))
        for name, value in (
            ("conv_g1_b", 1.0),
            ("conv_g2_b", 1.0),
            ("alpha", 0.1),
            ("mu", 1.0),
            ("omega", 0.5),
            ("kappa", 0.5),
        ):
            # Right before a normalization a bias has no gradient but rounding noise.
            trained = not name.endswith("_b")
            parameter = nn.Parameter(torch.full((channels, 1, 1), value), requires_grad=trained)
            self.register_parameter(name, parameter)
        self.attention = GALA(channels)
        for name in ("bn_g1", "bn_c1", "bn_g2", "bn_c2"):
            norm = nn.InstanceNorm2d(channels, affine=True)
            nn.init.constant_(norm.weight, 0.1)
            self.add_module(name, norm)

    def surround(self, inputs, kernel):
        return functional.conv2d(functional.pad(inputs, self.around, mode="reflect"), kernel)

    def step(self, drive, state):
        gain = torch.sigmoid(self.bn_g1(self.attention(state) + self.conv_g1_b))
        inhibition = self.bn_c1(self.surround(state * gain, self.conv_c1_w))
        first = torch.relu(drive - torch.relu((self.alpha * state + self.mu) * inhibition))
        mix = functional.conv2d(first, self.conv_g2_w) + self.conv_g2_b
        mix = torch.sigmoid(self.bn_g2(mix))
        excitation = self.bn_c2(self.surround(first, self.conv_c2_w))
        second = torch.relu(self.kappa * (first + excitation) + self.omega * (first * excitation))
        return (1 - mix) * state + mix * second

    def forward(self, drive):
        state = drive
        for _ in range(self.timesteps):
            state = self.step(drive, state)
        return state
