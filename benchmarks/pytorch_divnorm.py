"""Plain PyTorch forms of learned divisive normalization."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


class PooledDivNorm(nn.Module):
    """Sums squares over pools of channels, or over all."""

    def __init__(self, channels: int, pool_size: int):
        super().__init__()
        self.pool_size = pool_size
        self.gamma = nn.Parameter(torch.ones(channels // pool_size))
        self.sigma = nn.Parameter(torch.ones(channels // pool_size))

    def forward(self, inputs):
        powers = inputs**2
        batch, channels, height, width = powers.shape
        if self.pool_size == channels:
            total = powers.sum(dim=1, keepdim=True)
            return torch.exp(self.gamma) * powers / (self.sigma**2 + total)
        pooled = powers.view(batch, -1, self.pool_size, height, width)
        total = pooled.sum(dim=2, keepdim=True)
        gamma, sigma = (each.view(1, -1, 1, 1, 1) for each in (self.gamma, self.sigma))
        outputs = torch.exp(gamma) * pooled / (total + sigma**2)
        return outputs.view(batch, channels, height, width)


class ExponentialDivNorm(nn.Module):
    """Convolves the squares along the channels, at every place."""

    def __init__(self, initial_lambda: float = 10.0):
        super().__init__()
        self.lamb = nn.Parameter(torch.tensor([initial_lambda]))
        self.alpha = nn.Parameter(torch.tensor([0.1]))
        self.beta = nn.Parameter(torch.tensor([1.0]))
        self.k = nn.Parameter(torch.tensor([10.0]))

    def forward(self, inputs):
        taps = math.ceil(8 * self.lamb.item())
        reach = (taps + (taps % 2 == 0)) // 2
        distances = torch.arange(-reach, reach + 1).abs()
        kernel = torch.exp(-distances / self.lamb).view(1, 1, -1)
        squares = inputs**2
        batch, channels, height, width = squares.shape
        by_place = squares.permute(0, 2, 3, 1).reshape(-1, 1, channels)
        pool = functional.conv1d(by_place, kernel, padding=reach)
        pool = pool.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return squares / (self.k * (1 + self.alpha / self.lamb * pool)) ** self.beta
