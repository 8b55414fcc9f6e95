"""Blocks chosen for ONNX Runtime on one CPU core: convolutions, fused ReLU, residual sums, nothing else.

Layer norms, GELU and transposes are slow there; 1×1, 3×3 and depthwise convolutions all run at about the same multiply
rate, so a depthwise 7×7 is nearly free beside the 1×1 pair of its block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """ConvNeXt-like residual block without norm: depthwise k×k, 1×1 expand, ReLU, 1×1 back (starts at zero)."""

    def __init__(self, channels: int, expand: float = 2, kernel: int = 7) -> None:
        super().__init__()
        hidden = int(channels * expand)
        self.spatial = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.narrow = nn.Conv2d(hidden, channels, 1)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        # In f32: the gradients of a depthwise convolution take four to five times as long in bfloat16.
        with torch.autocast("cpu", enabled=False):
            around = self.spatial(x.float())
        return x + self.narrow(torch.relu(self.widen(around)))


def stage(channels: int, blocks: int, expand: float = 2, kernel: int = 7) -> nn.Sequential:
    return nn.Sequential(*[Block(channels, expand, kernel) for _ in range(blocks)])
