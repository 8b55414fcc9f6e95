"""The enhancer: five decoded frames in, a correction of the middle one out (docs/model-package.md).

`frames [N, 5, H, W]`, less their mean and over the root mean square error of decoding, so that one unit is the noise; `cond
[N, 1]`, the logarithm of their standard deviation in that unit. The body is `gated_unet.py`'s.

The stem's kernels sum to zero, since the level of a frame says nothing of its noise, and their features are bent towards a
limit: a front of a thousand units is no reason for a correction of a thousand. One frame at a time (and not eight at once)
learns about ten times faster for the same multiplications, since its sixteen outputs have all of the stem to read from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.gated_unet import GatedUnet, GatedUnetConfig, stem

CONDITIONS = 1
SOFTNESS = 0.125
"""Features `f` become `f / (1 + SOFTNESS |f|)`."""


@dataclass(frozen=True)
class EnhancerConfig(GatedUnetConfig):
    frames: int = 5


class Enhancer(GatedUnet):
    def __init__(self, config: EnhancerConfig) -> None:
        local = stem(config, config.frames, bias=False)
        nn.init.normal_(local.weight, std=0.05)
        super().__init__(config, local, CONDITIONS, hidden=32)
        nn.init.ones_(self.gate.bias)
        self.settled = False
        """Whether the stem's weights already sum to zero: those of an exported graph do."""

    def settle(self) -> None:
        """Makes the stem's weights what they act as."""
        with torch.no_grad():
            self.stem.weight.copy_(self.kernels())
        self.settled = True

    def kernels(self) -> Tensor:
        w = self.stem.weight
        return w - w.mean(dim=(1, 2, 3), keepdim=True)

    def forward(self, frames: Tensor, cond: Tensor) -> Tensor:
        # In f32: sums over a large level that cancels.
        with torch.autocast("cpu", enabled=False):
            if self.settled:
                local = self.stem(frames)
            else:
                local = F.conv2d(frames.float(), self.kernels(), stride=4, padding=self.stem.padding)
        return self.body(local / (1 + SOFTNESS * local.abs()), cond / 4 - 1)
