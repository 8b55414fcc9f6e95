"""The body of the interpolator and the enhancer: a stride-4 stem of linear features, a U-Net without norms, and a gated
head.

The stem makes `stem` features per 4×4 cell; the U-Net works on them at 1/8, 1/16 and 1/32, with one block at 1/4; the
head is the sum of a direct term and a *gated* term, the stem's features times coefficients from the U-Net.

What ONNX Runtime is slow at on a core is left out. Conditions enter at the coarsest scale and in the head alone, since
a sum with a broadcast bias costs two changes of layout. Growing is a 1×1 convolution and a repetition of every value,
which the block after it smooths.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.blocks import stage


@dataclass(frozen=True)
class GatedUnetConfig:
    """Channels and blocks per scale, finest (1/8) first; `fine` is the width at 1/4."""

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


def stem(config: GatedUnetConfig, planes: int, bias: bool) -> nn.Conv2d:
    pad = (config.stem_kernel - 4) // 2
    return nn.Conv2d(planes, config.stem, config.stem_kernel, stride=4, padding=pad, bias=bias)


class GatedUnet(nn.Module):
    """Starts as nothing: its output is zero until it is trained. `conditions` conditions go through `hidden`
    features.
    """

    def __init__(self, config: GatedUnetConfig, stem: nn.Conv2d, conditions: int, hidden: int) -> None:
        super().__init__()
        c, w = config, config.widths
        self.config = config
        self.stem = stem
        self.condition = nn.Sequential(nn.Linear(conditions, hidden), nn.ReLU(), nn.Linear(hidden, w[-1] + 16))
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
        self.shuffle = nn.PixelShuffle(4)

    def grown(self, level: int, x: Tensor) -> Tensor:
        return F.interpolate(self.grow[level](x), scale_factor=2, mode="nearest")

    def split(self, cond: Tensor) -> tuple[Tensor, Tensor]:
        """What the conditions add to the coarsest features, and their factors on the head's outputs."""
        bias, scale = torch.split(self.condition(cond)[:, :, None, None], [self.config.widths[-1], 16], dim=1)
        return bias, 1 + scale

    def trunk(self, local: Tensor, bias: Tensor, finer: Tensor | float = 0.0) -> Tensor:
        """Features at 1/4, of all scales; `finer` is what was seen at a finer one."""
        x = local
        coarsest = len(self.down) - 1
        skips = []
        for i, blocks in enumerate(self.down):
            x = self.shrink[i](x)
            x = blocks(torch.relu(x + bias if i == coarsest else x))
            skips.append(x)
        for i in reversed(range(coarsest)):
            x = self.up[i](self.grown(i + 1, x) + skips[i])
        return self.last(torch.relu(self.grown(0, x) + self.skip(local) + finer))

    def head(self, x: Tensor, local: Tensor, scale: Tensor) -> Tensor:
        x = self.gated(self.gate(x) * local) + self.direct(x)
        return self.shuffle(x * scale)

    def body(self, local: Tensor, cond: Tensor) -> Tensor:
        """`[N, 1, H, W]` from the stem's features and the conditions."""
        bias, scale = self.split(cond)
        return self.head(self.trunk(local, bias), local, scale)
