"""Entropy model of the latents: hyper-encoder, integer-exact hyper-decoder, factorised prior, scale table.

The hyper-decoder computes in integers only. Weights are integers in ±127, activations integers in 0..255 (input: ±127),
every layer is `Floor(sum · 2^-shift)` and `Clip`. In training the same arithmetic runs with straight-through gradients
on float master weights, so that the export is a copy of integers, not an approximation. f32 holds every sum exactly
while it stays below 2^24; `range_proof` gives the largest possible sum of each layer for any input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Z_LIMIT = 127
WEIGHT_LIMIT = 127
ACTIVATION_LIMIT = 255
EXACT_LIMIT = 2**24
MEAN_SCALE = 16
"""Means are integers in sixteenths of a symbol."""
MEAN_LIMIT = 8191
SCALES = 64
SCALE_MIN, SCALE_MAX = 0.11, 256.0
MASTER_SCALE = 32.0
"""Integer weight per unit of master weight."""
BIAS_SCALE = 16.0
"""Output units per unit of master bias."""


def scale_table() -> np.ndarray:
    """Standard deviations, in symbols, of the 64 Gaussians."""
    return np.exp(np.linspace(np.log(SCALE_MIN), np.log(SCALE_MAX), SCALES))


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # noqa: ANN001
        return torch.round(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:  # noqa: ANN001
        return g


class _Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # noqa: ANN001
        return torch.floor(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:  # noqa: ANN001
        return g


def round_through(x: Tensor) -> Tensor:
    return _Round.apply(x)


def leaky_clip(x: Tensor, low: float, high: float) -> Tensor:
    """Clip with a tenth of the gradient outside, so that saturated units recover."""
    clipped = x.clamp(low, high)
    return clipped.detach() + 0.9 * (clipped - clipped.detach()) + 0.1 * (x - x.detach())


class IntegerConv(nn.Module):
    """Convolution in integers: `Clip(Floor((w ∗ x + b) · 2^-shift), low, high)`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, shift: int, low: float, high: float) -> None:
        super().__init__()
        self.kernel, self.shift, self.low, self.high = kernel, shift, low, high
        fan = inputs * kernel * kernel
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs, kernel, kernel) * (2.0 / fan) ** 0.5 * 2**shift / MASTER_SCALE
        )
        self.bias = nn.Parameter(torch.zeros(outputs))

    def integers(self) -> tuple[Tensor, Tensor]:
        weight = (self.weight * MASTER_SCALE).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
        return round_through(weight), round_through(self.bias * (BIAS_SCALE * 2.0**self.shift))

    def set_integers(self, weight: Tensor, bias: Tensor) -> None:
        """Master weights of exported integers: those of [`integers`], a row of `[kernel, kernel, inputs]` for each
        output.
        """
        outputs, inputs, k, _ = self.weight.shape
        self.weight.copy_(weight.reshape(outputs, k, k, inputs).permute(0, 3, 1, 2) / MASTER_SCALE)
        self.bias.copy_(bias / (BIAS_SCALE * 2.0**self.shift))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.integers()
        total = F.conv2d(x, weight, bias, padding=self.kernel // 2)
        return leaky_clip(_Floor.apply(total * 2.0**-self.shift), self.low, self.high)


class HyperDecoder(nn.Module):
    """Integers `z [N, Cz, h, w]` to means (sixteenths) and scale indices `[N, Cy, 4h, 4w]`."""

    def __init__(self, z_channels: int, y_channels: int, hidden: int = 48) -> None:
        super().__init__()
        self.y_channels = y_channels
        self.layers = nn.ModuleList(
            [
                IntegerConv(z_channels, 4 * hidden, 1, 4, 0, ACTIVATION_LIMIT),
                IntegerConv(hidden, 4 * hidden, 1, 6, 0, ACTIVATION_LIMIT),
                IntegerConv(hidden, hidden, 3, 6, 0, ACTIVATION_LIMIT),
            ]
        )
        self.mean = IntegerConv(hidden, y_channels, 1, 4, -MEAN_LIMIT, MEAN_LIMIT)
        self.scale = IntegerConv(hidden, y_channels, 1, 6, 0, SCALES - 1)
        with torch.no_grad():
            self.layers[0].bias.fill_(1.0)
            self.mean.weight.mul_(0.05)
            self.scale.weight.mul_(0.3)
            self.scale.bias.fill_(1.5)

    @property
    def convs(self) -> list[IntegerConv]:
        """All, in the order of the exported graph."""
        return [*self.layers, self.mean, self.scale]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = F.pixel_shuffle(self.layers[0](z), 2)
        x = F.pixel_shuffle(self.layers[1](x), 2)
        x = self.layers[2](x)
        return self.mean(x), self.scale(x)

    def range_proof(self) -> list[dict[str, float | str]]:
        """Per layer the largest |sum| any input can make, and the limit below which the arithmetic is exact."""
        proof, limit = [], Z_LIMIT
        names = [*(f"hidden{i}" for i in range(len(self.layers))), "mean", "scale"]
        for name, conv in zip(names, self.convs, strict=True):
            weight, bias = conv.integers()
            # Partial sums in any order are bounded by the sum of magnitudes, so that is what must stay below the limit.
            bound = int(
                (weight.detach().abs().double().sum(dim=(1, 2, 3)) * limit + bias.detach().abs().double()).max()
            )
            proof.append({"layer": name, "largest_sum": bound, "limit": EXACT_LIMIT})
            if bound >= EXACT_LIMIT:
                raise ValueError(f"hyper-decoder layer {name}: a sum can reach {bound}, exact only below {EXACT_LIMIT}")
            limit = ACTIVATION_LIMIT
        return proof


class HyperEncoder(nn.Module):
    """`y_g` (gain · y) to `z`, a quarter of its size; logarithms first, since gains span two decades."""

    def __init__(self, y_channels: int, z_channels: int, hidden: int = 96) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2 * y_channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(hidden, z_channels, 1),
        )

    def forward(self, y: Tensor) -> Tensor:
        magnitude = y.abs()
        return 2 * self.net(torch.cat([torch.log(1 + magnitude), y / (1 + magnitude)], dim=1))


class FactorisedPrior(nn.Module):
    """One logistic distribution per channel of `z`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.full((channels,), 0.5))

    def bits(self, z: Tensor) -> Tensor:
        mean, scale = self.mean[:, None, None], self.log_scale.clamp(-3, 4).exp()[:, None, None]
        upper, lower = (z + 0.5 - mean) / scale, (z - 0.5 - mean) / scale
        sign = -torch.sign(upper + lower)
        mass = torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)
        return -torch.log2(mass.abs().clamp_min(1e-9))


def gaussian_bits(symbol: Tensor, scale: Tensor) -> Tensor:
    """Bits of a zero-mean Gaussian symbol; beyond 2^-16 a slowly rising cost, as of an escape, that still has a
    gradient.
    """
    distance = symbol.abs()
    root = 0.7071067811865476
    mass = 0.5 * (torch.erfc(-(0.5 - distance) / scale * root) - torch.erfc((0.5 + distance) / scale * root))
    tail = 16 + 2 * torch.log2((distance / (4 * scale)).clamp_min(1))
    return torch.where(mass > 2.0**-16, -torch.log2(mass.clamp_min(2.0**-17)), tail)


def quantised(
    y: Tensor,
    z: Tensor,
    modelled: Callable[[Tensor], tuple[Tensor, Tensor]],
    prior_bits: Callable[[Tensor], Tensor],
    training: bool,
) -> tuple[Tensor, Tensor]:
    """Latents `y` as a decoder has them, and the bits of `y` and `z` in each sample.

    `modelled`: means (sixteenths) and scale indices of `y` from rounded hyper-latents; `prior_bits`: bits of
    hyper-latents. In training uniform noise stands for rounding where bits are counted.
    """
    z_hat = round_through(z.clamp(-Z_LIMIT, Z_LIMIT))
    mean, index = modelled(z_hat)
    mean = mean / MEAN_SCALE
    scale = SCALE_MIN * torch.exp(index * (np.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)))
    rounded = round_through(y - mean)
    noisy = y - mean + torch.rand_like(mean) - 0.5 if training else rounded
    bits = gaussian_bits(noisy, scale).sum(dim=(1, 2, 3))
    z_noisy = z + torch.rand_like(z) - 0.5 if training else z_hat
    return rounded + mean, bits + prior_bits(z_noisy).sum(dim=(1, 2, 3))
