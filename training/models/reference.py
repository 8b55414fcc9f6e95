"""The architecture of the paper that fieldpress follows, as the package `reference`: what ours is measured against.

Frames go through 2-D convolutions to `[C, H/4, W/4]` each, merged through 3-D convolutions to the latent `[4C, T/4,
H/16, W/16]`, and back through 3-D transposed convolutions to `[2C, T, H/4, W/4]`. A super-resolution decoder enlarges
every frame by 4: a blueprint-separable convolution (BSConv, Haase and Amthor 2020), six blocks of BSConv, ConvNeXt
block (Liu et al. 2022), enhanced spatial attention (ESA, Liu et al. 2020) and contrast-aware channel attention (CCA,
Hui et al. 2019), their outputs fused, and a pixel shuffle. With `super_resolution` off, two transposed convolutions
take its place: the paper's ablation. A hyperprior models each `T/4` slice of `y`.

What differs: the hyper-decoder is the integer-exact one of ours, since the library decodes with no other; the time axis
of `y` and `z` is folded into channels, slice after slice, as docs/model-package.md has it. The 3-D convolutions stay in
f32: their gradients in bf16 are now and then not finite on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.hyper import FactorisedPrior, HyperDecoder

INITIAL_SCALE = 8.0
"""Factor on the encoder's last layer at the start: latents of the order of a quantiser step."""


@dataclass(frozen=True)
class ReferenceConfig:
    frames: int = 8
    channels: int = 16
    """C."""
    features: int = 64
    """Channels of the super-resolution decoder."""
    super_resolution: bool = True

    @property
    def slices(self) -> int:
        return self.frames // 4

    @property
    def y_channels(self) -> int:
        """Of one slice, which are those of `z` too."""
        return 4 * self.channels


class BSConv(nn.Sequential):
    """1×1, then depthwise 3×3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs)
        )


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean(dim=1, keepdim=True)
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-6) * self.weight + self.bias


class ConvNeXt(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = ChannelNorm(channels)
        self.widen = nn.Conv2d(channels, 4 * channels, 1)
        self.narrow = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.gelu(self.widen(self.norm(self.spatial(x)))))


class SpatialAttention(nn.Module):
    """ESA: a mask from a much reduced copy of the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.enter = nn.Conv2d(channels, inner, 1)
        self.reduce = nn.Conv2d(inner, inner, 3, stride=2)
        self.coarse = nn.Sequential(
            nn.Conv2d(inner, inner, 3, padding=1), nn.GELU(), nn.Conv2d(inner, inner, 3, padding=1)
        )
        self.beside = nn.Conv2d(inner, inner, 1)
        self.leave = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        entered = self.enter(x)
        coarse = self.coarse(F.max_pool2d(self.reduce(entered), 7, stride=3))
        coarse = F.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.leave(coarse + self.beside(entered)))


class ChannelAttention(nn.Module):
    """CCA: a weight per channel from its mean and standard deviation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, channels // 8, 1), nn.ReLU(), nn.Conv2d(channels // 8, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        deviation = ((x - mean).square().mean(dim=(2, 3), keepdim=True) + 1e-6).sqrt()
        return x * torch.sigmoid(self.weigh(mean + deviation))


class BCB(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__(
            BSConv(channels, channels),
            nn.GELU(),
            ConvNeXt(channels),
            SpatialAttention(channels),
            ChannelAttention(channels),
        )


class SuperResolution(nn.Module):
    """Features of a frame at H/4 to the frame."""

    BLOCKS = 6

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.shallow = BSConv(inputs, features)
        self.blocks = nn.ModuleList(BCB(features) for _ in range(self.BLOCKS))
        self.merge = nn.Sequential(nn.Conv2d(self.BLOCKS * features, features, 1), nn.GELU())
        self.fuse = nn.Conv2d(features, features, 3, padding=1)
        self.leave = nn.Conv2d(features, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = shallow = self.shallow(x.contiguous(memory_format=torch.channels_last))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return F.pixel_shuffle(self.leave(self.fuse(self.merge(torch.cat(outputs, dim=1))) + shallow), 4)


class Transposed(nn.Sequential):
    """The ablation's stand-in for the super-resolution decoder."""

    def __init__(self, inputs: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(inputs, inputs, 4, stride=2, padding=1),
            nn.GELU(),
            nn.ConvTranspose2d(inputs, inputs, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(inputs, 1, 3, padding=1),
        )


class Residual3d(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.gelu(self.first(x)))


class ReferenceEncoder(nn.Module):
    """`x [N, T, H, W]` to `y [N, 4C·T/4, H/16, W/16]`."""

    def __init__(self, c: ReferenceConfig) -> None:
        super().__init__()
        n = c.channels
        self.config = c
        self.frame = nn.Sequential(
            nn.Conv2d(1, n, 5, stride=2, padding=2), nn.GELU(), nn.Conv2d(n, n, 5, stride=2, padding=2), nn.GELU()
        )
        self.merged = nn.Sequential(
            nn.Conv3d(n, 2 * n, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv3d(2 * n, 4 * n, 3, stride=2, padding=1),
            Residual3d(4 * n),
            Residual3d(4 * n),
        )
        self.out = nn.Conv3d(4 * n, 4 * n, 1)
        with torch.no_grad():
            self.out.weight.mul_(INITIAL_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        c, (h, w) = self.config, x.shape[-2:]
        frames = self.frame(x.reshape(-1, 1, h, w)).reshape(-1, c.frames, c.channels, h // 4, w // 4)
        with torch.autocast("cpu", enabled=False):
            y = self.out(self.merged(frames.transpose(1, 2).float())).transpose(1, 2)
        return y.reshape(-1, c.slices * c.y_channels, h // 16, w // 16)


class ReferenceDecoder(nn.Module):
    """`y [N, 4C·T/4, H/16, W/16]` to frames `[N, T, H, W]`."""

    def __init__(self, c: ReferenceConfig) -> None:
        super().__init__()
        n = c.channels
        self.config = c
        self.merged = nn.Sequential(
            Residual3d(4 * n),
            nn.ConvTranspose3d(4 * n, 4 * n, 4, stride=2, padding=1),
            nn.GELU(),
            nn.ConvTranspose3d(4 * n, 2 * n, 4, stride=2, padding=1),
        )
        self.enlarge = SuperResolution(2 * n, c.features) if c.super_resolution else Transposed(2 * n)

    def forward(self, y: Tensor) -> Tensor:
        c, (h, w) = self.config, y.shape[-2:]
        with torch.autocast("cpu", enabled=False):
            merged = self.merged(y.reshape(-1, c.slices, c.y_channels, h, w).transpose(1, 2).float()).transpose(1, 2)
        frames = self.enlarge(merged.reshape(-1, 2 * c.channels, 4 * h, 4 * w))
        return frames.reshape(-1, c.frames, 16 * h, 16 * w)


class ReferenceHyperEncoder(nn.Module):
    """Each slice of `y` to its `z`, `[N, 4C·T/4, H/64, W/64]`."""

    def __init__(self, c: ReferenceConfig) -> None:
        super().__init__()
        n = c.y_channels
        self.config = c
        self.net = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(n, n, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv2d(n, n, 5, stride=2, padding=2),
        )

    def forward(self, y: Tensor) -> Tensor:
        n = self.config.y_channels
        return torch.cat([self.net(y[:, s * n : (s + 1) * n].abs()) for s in range(self.config.slices)], dim=1)


class Reference(nn.Module):
    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = ReferenceEncoder(config), ReferenceDecoder(config)
        self.hyper_encoder = ReferenceHyperEncoder(config)
        self.hyper_decoder = HyperDecoder(config.y_channels, config.y_channels)
        self.prior = FactorisedPrior(config.y_channels)

    def slices(self, z_hat: Tensor) -> list[Tensor]:
        n = self.config.y_channels
        return [z_hat[:, s * n : (s + 1) * n] for s in range(self.config.slices)]

    def modelled(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (sixteenths) and scale index of all of `y`."""
        found = [self.hyper_decoder(z) for z in self.slices(z_hat)]
        return torch.cat([m for m, _ in found], dim=1), torch.cat([s for _, s in found], dim=1)

    def prior_bits(self, z: Tensor) -> Tensor:
        return torch.cat([self.prior.bits(s) for s in self.slices(z)], dim=1)
