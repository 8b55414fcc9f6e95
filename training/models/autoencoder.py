"""The autoencoder of the latents: 8 frames in, `y` at 1/16, frames out at full, half and quarter size.

A linear path (a learned 8×16×16 block transform that starts as the lowest coefficients of a DCT) carries the bulk; a
ConvNeXt-like path beside it, which starts at zero, bends it. `y` keeps the units of orthonormal coefficients of the
normalised field, so a gain of `1/step` makes the latents as coarse as a residual coder at that step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.models.blocks import stage
from training.models.hyper import FactorisedPrior, HyperDecoder, HyperEncoder

CELL = 16
"""Spatial downsampling of `y`."""


@dataclass(frozen=True)
class AutoencoderConfig:
    frames: int = 8
    y_channels: int = 96
    z_channels: int = 16
    widths: tuple[int, ...] = (64, 96, 160)
    """Channels at 1/4, 1/8, 1/16."""
    blocks: tuple[int, ...] = (2, 2, 2)
    gains: tuple[float, ...] = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0)


def dct_rows(n: int) -> np.ndarray:
    k, i = np.arange(n)[:, None], np.arange(n)[None, :]
    rows = np.cos(np.pi * k * (2 * i + 1) / (2 * n)) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    return rows


def lowest_frequencies(count: int, frames: int) -> list[tuple[int, int, int]]:
    """The `(t, y, x)` frequencies that a smooth moving field fills first; time counts a little more than space."""
    every = [(t, y, x) for t in range(frames) for y in range(CELL) for x in range(CELL)]
    return sorted(every, key=lambda f: ((1.6 * f[0] / frames) ** 2 + (f[1] / CELL) ** 2 + (f[2] / CELL) ** 2, f))[
        :count
    ]


def block_basis(count: int, frames: int, size: int) -> np.ndarray:
    """`[count, frames, size, size]`: the lowest DCT vectors sampled on a `size²` cell (16, or 8 and 4 for the small
    heads).
    """
    time, space = dct_rows(frames), dct_rows(CELL).reshape(CELL, size, CELL // size).mean(axis=2)
    return np.stack(
        [
            time[t][:, None, None] * space[y][None, :, None] * space[x][None, None, :]
            for t, y, x in lowest_frequencies(count, frames)
        ]
    )


class Encoder(nn.Module):
    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        w = c.widths
        self.linear = nn.Conv2d(c.frames, c.y_channels, CELL, stride=CELL)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(block_basis(c.y_channels, c.frames, CELL)))
            self.linear.bias.zero_()
        self.body = nn.Sequential(
            nn.Conv2d(c.frames, w[0], 4, stride=4),
            nn.ReLU(),
            stage(w[0], c.blocks[0]),
            nn.Conv2d(w[0], w[1], 2, stride=2),
            nn.ReLU(),
            stage(w[1], c.blocks[1]),
            nn.Conv2d(w[1], w[2], 2, stride=2),
            nn.ReLU(),
            stage(w[2], c.blocks[2]),
        )
        self.out = nn.Conv2d(w[2], c.y_channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.out(self.body(x))


class LinearHead(nn.Module):
    """`y` to frames by a learned block basis at `size` pixels per cell."""

    def __init__(self, c: AutoencoderConfig, size: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(c.y_channels, c.frames * size * size, 1)
        self.shuffle = nn.PixelShuffle(size)
        basis = block_basis(c.y_channels, c.frames, size)
        with torch.no_grad():
            self.spread.weight.copy_(torch.from_numpy(basis.reshape(c.y_channels, -1).T[:, :, None, None]))
            self.spread.bias.zero_()

    def forward(self, y: Tensor) -> Tensor:
        return self.shuffle(self.spread(y))


class Head(nn.Module):
    """Super-resolution of features by a factor: 1×1 convolution (starts at zero) and pixel shuffle."""

    def __init__(self, features: int, frames: int, factor: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(features, frames * factor * factor, 1)
        self.shuffle = nn.PixelShuffle(factor)
        nn.init.zeros_(self.spread.weight)
        nn.init.zeros_(self.spread.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.spread(x))


class Decoder(nn.Module):
    """All three heads; export takes one at a time, with the part of the body it needs."""

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        w = c.widths
        self.enter = nn.Conv2d(c.y_channels, w[2], 1)
        self.coarse = stage(w[2], c.blocks[2])
        self.grow1 = nn.ConvTranspose2d(w[2], w[1], 2, stride=2)
        self.middle = stage(w[1], c.blocks[1])
        self.grow0 = nn.ConvTranspose2d(w[1], w[0], 2, stride=2)
        self.fine = stage(w[0], c.blocks[0])
        self.linear, self.linear_half, self.linear_quarter = (LinearHead(c, s) for s in (16, 8, 4))
        self.to_full, self.to_half = Head(w[0], c.frames, 4), Head(w[0], c.frames, 2)
        self.to_quarter = Head(w[1], c.frames, 2)

    def features(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features at 1/8 and at 1/4."""
        middle = self.middle(torch.relu(self.grow1(self.coarse(torch.relu(self.enter(y))))))
        return middle, self.fine(torch.relu(self.grow0(middle)))

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        middle, fine = self.features(y)
        return (
            self.linear(y) + self.to_full(fine),
            self.linear_half(y) + self.to_half(fine),
            self.linear_quarter(y) + self.to_quarter(middle),
        )


class Autoencoder(nn.Module):
    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.hyper_encoder = HyperEncoder(config.y_channels, config.z_channels)
        self.hyper_decoder = HyperDecoder(config.z_channels, config.y_channels)
        self.prior = FactorisedPrior(config.z_channels)
