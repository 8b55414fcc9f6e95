"""The enhancer: five decoded frames in, a correction of the middle one out (docs/model-package.md).

`frames [N, 5, H, W]`, less their mean and over the root mean square error of decoding, so that one unit is the noise;
`cond [N, 1]`, the logarithm of their standard deviation in that unit. The body is `gated_unet.py`'s.

The stem's kernels sum to zero, since the level of a frame says nothing of its noise, and their features are bent
towards a limit: a front of a thousand units is no reason for a correction of a thousand. One frame at a time (and not
eight at once) learns about ten times faster for the same multiplications, since its sixteen outputs have all of the
stem to read from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.blocks import stage
from training.models.gated_unet import GatedUnet, GatedUnetConfig, stem

CONDITIONS = 1
SOFTNESS = 0.125
"""Features `f` become `f / (1 + SOFTNESS |f|)`."""


@dataclass(frozen=True)
class EnhancerConfig(GatedUnetConfig):
    frames: int = 5


@dataclass(frozen=True)
class FineEnhancerConfig(EnhancerConfig):
    """More blocks than the small one, and features of 2×2 cells beside those of 4×4."""

    fine_blocks: int = 3
    down_blocks: tuple[int, ...] = (2, 2, 2)
    up_blocks: tuple[int, ...] = (3, 2)
    detail_stem: int = 48
    detail: int = 40
    """Width at 1/2."""
    detail_blocks: tuple[int, int] = (1, 2)
    """At 1/2, before and after the coarser scales."""


def bent(features: Tensor) -> Tensor:
    return features / (1 + SOFTNESS * features.abs())


def centred(weight: Tensor) -> Tensor:
    """Kernels that sum to zero."""
    return weight - weight.mean(dim=(1, 2, 3), keepdim=True)


class Enhancer(GatedUnet):
    def __init__(self, config: EnhancerConfig) -> None:
        local = stem(config, config.frames, bias=False)
        nn.init.normal_(local.weight, std=0.05)
        super().__init__(config, local, CONDITIONS, hidden=32)
        nn.init.ones_(self.gate.bias)
        self.settled = False
        """Whether the stems' weights already sum to zero: those of an exported graph do."""

    def stems(self) -> list[nn.Conv2d]:
        return [self.stem]

    def settle(self) -> None:
        """Makes the stems' weights what they act as."""
        with torch.no_grad():
            for layer in self.stems():
                layer.weight.copy_(centred(layer.weight))
        self.settled = True

    def local(self, layer: nn.Conv2d, frames: Tensor) -> Tensor:
        """A stem's features."""
        # In f32: sums over a large level that cancels.
        with torch.autocast("cpu", enabled=False):
            if self.settled:
                return bent(layer(frames))
            return bent(F.conv2d(frames.float(), centred(layer.weight), stride=layer.stride, padding=layer.padding))

    def forward(self, frames: Tensor, cond: Tensor) -> Tensor:
        return self.body(self.local(self.stem, frames), cond / 4 - 1)


def enhancer(config: EnhancerConfig) -> Enhancer:
    """The network that `config` is of."""
    return FineEnhancer(config) if isinstance(config, FineEnhancerConfig) else Enhancer(config)


class FineEnhancer(Enhancer):
    """The same with more blocks, and a second gated head for every 2×2 cell. With the small one's weights and new ones
    that start at zero it begins as what the small one is."""

    def __init__(self, config: FineEnhancerConfig) -> None:
        super().__init__(config)
        c = config
        self.detail_stem = nn.Conv2d(c.frames, c.detail_stem, 6, stride=2, padding=2, bias=False)
        nn.init.normal_(self.detail_stem.weight, std=0.05)
        self.enter = nn.Conv2d(c.detail_stem, c.detail, 1)
        self.before = stage(c.detail, c.detail_blocks[0], c.expand, c.fine_kernel)
        self.leave = nn.Conv2d(c.detail, c.fine, 2, stride=2)
        self.refine = nn.Conv2d(c.fine, c.detail, 1)
        self.after = stage(c.detail, c.detail_blocks[1], c.expand, c.fine_kernel)
        self.detail_gate = nn.Conv2d(c.detail, c.detail_stem, 1)
        nn.init.ones_(self.detail_gate.bias)
        self.detail_gated = nn.Conv2d(c.detail_stem, 4, 1, bias=False)
        self.detail_direct = nn.Conv2d(c.detail, 4, 1)
        for layer in (self.leave, self.detail_direct):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.detail_gated.weight)
        self.detail_shuffle = nn.PixelShuffle(2)

    def stems(self) -> list[nn.Conv2d]:
        return [self.stem, self.detail_stem]

    def forward(self, frames: Tensor, cond: Tensor) -> Tensor:
        local, detail = (self.local(layer, frames) for layer in self.stems())
        bias, scale = self.split(cond / 4 - 1)
        fine = self.before(torch.relu(self.enter(detail)))
        x = self.trunk(local, bias, self.leave(fine))
        fine = self.after(torch.relu(F.interpolate(self.refine(x), scale_factor=2, mode="nearest") + fine))
        fine = self.detail_gated(self.detail_gate(fine) * detail) + self.detail_direct(fine)
        return self.head(x, local, scale) + self.detail_shuffle(fine)
