"""The interpolator: four decoded frames in, a correction to the polynomial base of the middle frame out.

`planes [N, 6, H, W]` and `cond [N, 4]` as in docs/model-package.md. A stride-4 stem makes `stem` features per 4×4 cell; a
U-Net without norms works at 1/4, 1/8, 1/16 and 1/32; the head is the sum of a direct term and a *gated* term: the
stem's linear features (local derivatives of the references, say) times coefficients from the U-Net (a velocity, say). An
advected field needs just that product: the correction to the average is v·∇(b−a)/2 to leading order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from training.models.blocks import stage

PLANES, CONDITIONS = 6, 4


@dataclass(frozen=True)
class InterpolatorConfig:
    """Channels and blocks per scale, finest (1/4) first."""

    stem: int = 64
    stem_kernel: int = 6
    widths: tuple[int, ...] = (48, 64, 96, 128)
    down_blocks: tuple[int, ...] = (1, 1, 1, 3)
    up_blocks: tuple[int, ...] = (2, 1, 1)
    expand: float = 2
    kernel: int = 7

    @property
    def align(self) -> int:
        return 4 * 2 ** (len(self.widths) - 1)


class Interpolator(nn.Module):
    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__()
        c, w = config, config.widths
        self.config = config
        pad = (c.stem_kernel - 4) // 2
        self.stem = nn.Conv2d(PLANES, c.stem, c.stem_kernel, stride=4, padding=pad)
        self.enter = nn.Conv2d(c.stem, w[0], 1)
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, 64), nn.ReLU(), nn.Linear(64, sum(w) + 16))
        self.down = nn.ModuleList(stage(n, b, c.expand, c.kernel) for n, b in zip(w, c.down_blocks, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(w))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(w))
        self.up = nn.ModuleList(stage(n, b, c.expand, c.kernel) for n, b in zip(w[:-1], c.up_blocks, strict=True))
        self.gate = nn.Conv2d(w[0], c.stem, 1)
        self.gated = nn.Conv2d(c.stem, 16, 1, bias=False)
        self.direct = nn.Conv2d(w[0], 16, 1)
        for layer in (self.direct, self.condition[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.gated.weight)
        self.shuffle = nn.PixelShuffle(4)

    def forward(self, planes: Tensor, cond: Tensor) -> Tensor:
        widths = list(self.config.widths)
        *biases, scale = torch.split(self.condition(cond)[:, :, None, None], [*widths, 16], dim=1)
        local = self.stem(planes)
        x = torch.relu(self.enter(local) + biases[0])
        skips = []
        for i, blocks in enumerate(self.down):
            if i:
                x = torch.relu(self.shrink[i - 1](x) + biases[i])
            x = blocks(x)
            skips.append(x)
        for i in reversed(range(len(self.up))):
            x = self.up[i](self.grow[i](x) + skips[i])
        x = self.gated(self.gate(x) * local) + self.direct(x)
        return self.shuffle(x * (1 + scale))
