"""The hGRU in plain PyTorch, computed the way the original computes it.

Written from the equations, not copied, as `pytorch_forms.py`. The first state is silence, where
the original draws noise, so that both sides compute the same.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class HGRU(nn.Module):
    """A cell that goes over a static image, with batch normalization that all time steps share.

    Args:
        filters: number of channels.
        kernel_size: of the horizontal connections.
        timesteps: number of time steps.
    """

    def __init__(self, filters: int, kernel_size: int, timesteps: int):
        super().__init__()
        self.timesteps = timesteps
        self.padding = kernel_size // 2
        self.u1_gate = nn.Conv2d(filters, filters, 1)
        self.u2_gate = nn.Conv2d(filters, filters, 1)
        # Right before batch statistics it has no gradient but rounding noise.
        for gate in (self.u1_gate, self.u2_gate):
            gate.bias.requires_grad_(False)
        shape = (filters, filters, kernel_size, kernel_size)
        for name in ("w_gate_inh", "w_gate_exc"):
            kernel = nn.Parameter(torch.empty(shape))
            kernel.register_hook(lambda gradient: (gradient + gradient.transpose(1, 0)) / 2)
            self.register_parameter(name, kernel)
        for name in ("alpha", "gamma", "kappa", "w", "mu"):
            self.register_parameter(name, nn.Parameter(torch.empty(filters, 1, 1)))
        self.bn = nn.ModuleList(nn.BatchNorm2d(filters) for _ in range(4))

    def forward(self, inputs):
        h = torch.zeros_like(inputs)
        for _ in range(self.timesteps):
            h = self.step(inputs, h)
        return h

    def step(self, inputs, h):
        """One time step: suppression, then facilitation."""
        gain = torch.sigmoid(self.bn[0](self.u1_gate(h)))
        c1 = self.bn[1](functional.conv2d(h * gain, self.w_gate_inh, padding=self.padding))
        h1 = functional.relu(inputs - functional.relu(c1 * (self.alpha * h + self.mu)))
        mix = torch.sigmoid(self.bn[2](self.u2_gate(h1)))
        c2 = self.bn[3](functional.conv2d(h1, self.w_gate_exc, padding=self.padding))
        h2 = functional.relu(self.kappa * h1 + self.gamma * c2 + self.w * h1 * c2)
        return (1 - mix) * h + mix * h2
