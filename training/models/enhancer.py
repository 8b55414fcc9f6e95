"""The enhancer: five decoded frames in, a correction of the middle one out (docs/model-package.md).

`frames [N, 5, H, W]`, less their mean and over the root mean square error of decoding, so that one unit is the noise; `cond
[N, 1]`, the logarithm of their standard deviation in that unit. The body is the interpolator's: a stride-4 stem of linear
features, a U-Net without norms, and a head of a direct term and a gated one.

The stem's kernels sum to zero, since the level of a frame says nothing of its noise, and their features are bent towards a
limit: a front of a thousand units is no reason for a correction of a thousand. One frame at a time (and not eight at once)
learns about ten times faster for the same multiplications, since its sixteen outputs have all of the stem to read from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.blocks import stage

CONDITIONS = 1
SOFTNESS = 0.125
"""Features `f` become `f / (1 + SOFTNESS |f|)`."""


@dataclass(frozen=True)
class EnhancerConfig:
    """Channels and blocks per scale, finest (1/8) first; `fine` is the width at 1/4."""

    frames: int = 5
    stem: int = 48
    stem_kernel: int = 6
    fine: int = 32
    fine_blocks: int = 1
    fine_kernel: int = 5
    widths: tuple[int, ...] = (64, 96, 128)
    down_blocks: tuple[int, ...] = (1, 1, 1)
    up_blocks: tuple[int, ...] = (2, 1)
    expand: float = 2
    kernel: int = 7

    @property
    def align(self) -> int:
        return 4 * 2 ** len(self.widths)


class Enhancer(nn.Module):
    def __init__(self, config: EnhancerConfig) -> None:
        super().__init__()
        c, w = config, config.widths
        self.config = config
        self.stem = nn.Conv2d(c.frames, c.stem, c.stem_kernel, stride=4, padding=(c.stem_kernel - 4) // 2, bias=False)
        nn.init.normal_(self.stem.weight, std=0.05)
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, 32), nn.ReLU(), nn.Linear(32, w[-1] + 16))
        self.skip = nn.Conv2d(c.stem, c.fine, 1)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise((c.stem, *w)))
        self.down = nn.ModuleList(stage(n, b, c.expand, c.kernel) for n, b in zip(w, c.down_blocks, strict=True))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise((c.fine, *w)))
        self.up = nn.ModuleList(stage(n, b, c.expand, c.kernel) for n, b in zip(w[:-1], c.up_blocks, strict=True))
        self.last = stage(c.fine, c.fine_blocks, c.expand, c.fine_kernel)
        self.gate = nn.Conv2d(c.fine, c.stem, 1)
        self.gated = nn.Conv2d(c.stem, 16, 1, bias=False)
        self.direct = nn.Conv2d(c.fine, 16, 1)
        for layer in (self.direct, self.condition[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.gated.weight)
        nn.init.ones_(self.gate.bias)
        self.shuffle = nn.PixelShuffle(4)
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

    def grown(self, level: int, x: Tensor) -> Tensor:
        return F.interpolate(self.grow[level](x), scale_factor=2, mode="nearest")

    def forward(self, frames: Tensor, cond: Tensor) -> Tensor:
        bias, scale = torch.split(self.condition(cond / 4 - 1)[:, :, None, None], [self.config.widths[-1], 16], dim=1)
        # In f32: sums over a large level that cancels.
        with torch.autocast("cpu", enabled=False):
            if self.settled:
                local = self.stem(frames)
            else:
                local = F.conv2d(frames.float(), self.kernels(), stride=4, padding=self.stem.padding)
        x = local = local / (1 + SOFTNESS * local.abs())
        coarsest = len(self.down) - 1
        skips = []
        for i, blocks in enumerate(self.down):
            x = self.shrink[i](x)
            x = blocks(torch.relu(x + bias if i == coarsest else x))
            skips.append(x)
        for i in reversed(range(coarsest)):
            x = self.up[i](self.grown(i + 1, x) + skips[i])
        x = self.last(torch.relu(self.grown(0, x) + self.skip(local)))
        x = self.gated(self.gate(x) * local) + self.direct(x)
        return self.shuffle(x * (1 + scale))
