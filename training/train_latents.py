"""Trains the autoencoder against what it must save: bits of the latents plus an estimate of the residual coder's bits.

Per sample a gain is drawn; the residual coder's step is about `1/gain` of the field's range. The residual goes through
a DCT along the frames and the CDF 9/7 wavelet; a coefficient `c` at step `q` is charged `soft_bits(c/q)`. The loss is
the logarithm of the total, so that every field counts by its relative saving.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training import wavelet
from training.loop import LoopConfig, Run
from training.models import hyper
from training.models.autoencoder import Autoencoder, AutoencoderConfig, dct_rows
from training.sampling import Corpus, Sequence, crop

MAX_STRIDE = 12
DEAD_ZONE, KNEE, WEIGHT = 0.4, 0.25, 1.8
"""Shape of `soft_bits`, set against the neighbour-context entropy of quantised turbulence (within a third)."""


RATES = (("linear", 0.02), ("to_", 0.1), ("encoder.out", 0.1))
"""Layers whose outputs are in the field's own units move slowly: Adam's steps are absolute."""


@dataclass(frozen=True)
class LatentsRun:
    loop: LoopConfig
    cache: Path
    model: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    crop: int = 128
    weights: dict[str, float] = field(default_factory=lambda: {"turbulence": 3.0, "quasigeostrophic": 1.5})


@dataclass(frozen=True)
class Windows:
    x: Tensor
    """`[N, frames, H, W]`, (value − mean) / range."""
    gain: Tensor
    step: Tensor
    """The residual coder's step in the units of `x`."""


def soft_bits(ratio: Tensor) -> Tensor:
    return WEIGHT * 0.5 * torch.log2(1 + (F.relu(ratio.abs() - DEAD_ZONE) / KNEE).square())


def residual_bits(residual: Tensor, step: Tensor) -> Tensor:
    """Estimated bits per sample `[N]` of coding `residual [N, T, H, W]` at `step [N, 1, 1, 1]`."""
    n, t, h, w = residual.shape
    dct = torch.from_numpy(dct_rows(t)).float()
    along_time = (dct @ residual.reshape(n, t, h * w)).reshape(n, t, h, w)
    return soft_bits(wavelet.forward(along_time, 5) / step).sum(dim=(1, 2, 3))


def window(sequence: Sequence, frames: int, stride: int, start: int, size: int, rng: np.random.Generator) -> np.ndarray:
    values = crop(sequence, [start + stride * i for i in range(frames)], size, rng, sequence.mean)
    if rng.random() < 0.5:
        values = values[::-1].copy()
    return values / np.float32(sequence.range)


def draw(corpus: Corpus, frames: int, size: int, rng: np.random.Generator) -> np.ndarray:
    sequence = corpus.draw(rng)
    limit = min(MAX_STRIDE, (len(sequence.frames) - 1) // (frames - 1))
    stride = int(np.exp(rng.uniform(0, np.log(max(limit, 1) + 0.999))))
    start = int(rng.integers(len(sequence.frames) - stride * (frames - 1)))
    return window(sequence, frames, stride, start, size, rng)


def collate(windows: list[np.ndarray], gains: list[float], steps: list[float]) -> Windows:
    x = torch.from_numpy(np.stack(windows))
    return Windows(x, torch.tensor(gains)[:, None, None, None], torch.tensor(steps)[:, None, None, None])


@dataclass(frozen=True)
class Outcome:
    latent_bits: Tensor
    residual_bits: Tensor
    plain_bits: Tensor
    """The residual coder alone; left out in training."""
    nrmse: Tensor
    heads: Tensor
    """Mean square error of the reduced heads against block averages, relative to the field's."""


def evaluate(model: Autoencoder, batch: Windows, bfloat16: bool, training: bool) -> Outcome:
    x = batch.x
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        bent = model.encoder.out(model.encoder.body(x.to(memory_format=torch.channels_last)))
    y_gained = (model.encoder.linear(x) + bent.float()) * batch.gain
    z = model.hyper_encoder(y_gained)
    decoded, bits = hyper.quantised(y_gained, z, model.hyper_decoder, model.prior.bits, training)
    y_hat = decoded / batch.gain
    decoder = model.decoder
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        middle, fine = decoder.features(y_hat.to(memory_format=torch.channels_last))
        full, half, quarter = decoder.to_full(fine), decoder.to_half(fine), decoder.to_quarter(middle)
    x_hat = decoder.linear(y_hat) + full.float()
    power = x.square().mean(dim=(1, 2, 3)) + 1e-8
    heads = sum(
        (
            (F.avg_pool2d(x, f) - linear(y_hat) - bent.float()).square().mean(dim=(1, 2, 3)) / power
            for f, linear, bent in ((2, decoder.linear_half, half), (4, decoder.linear_quarter, quarter))
        )
    )
    left = x - x_hat
    plain = bits.new_zeros(len(x)) if training else residual_bits(x, batch.step)
    return Outcome(bits, residual_bits(left, batch.step), plain, left.square().mean(dim=(1, 2, 3)).sqrt(), heads)


def train(config: LatentsRun) -> Run:
    torch.set_num_threads(1)
    torch.manual_seed(config.loop.seed)
    run = Run(config.loop, Autoencoder(config.model))
    run.resume()
    corpus = Corpus(config.cache / "train", config.weights)
    frames, gains = config.model.frames, config.model.gains
    pixels = frames * config.crop**2

    def loss(model: Autoencoder, rng: np.random.Generator, size: int) -> tuple[Tensor, dict[str, float]]:
        windows = [draw(corpus, frames, config.crop, rng) for _ in range(size)]
        chosen = [float(gains[rng.integers(len(gains))]) for _ in range(size)]
        steps = [float(np.exp(rng.uniform(np.log(0.6), np.log(1.6)))) / g for g in chosen]
        out = evaluate(model, collate(windows, chosen, steps), config.loop.bfloat16, training=True)
        total = (out.latent_bits + out.residual_bits) / pixels
        value = torch.log(total + 2e-3).mean() + 0.05 * torch.log(out.heads + 1e-6).mean()
        return value, {
            "total": float(total.detach().mean()),
            "latents": float(out.latent_bits.detach().mean()) / pixels,
        }

    def validate(model: Autoencoder) -> dict[str, Any]:
        held = Corpus(config.cache / "val")
        out: dict[str, Any] = {}
        for kind, sequences in sorted(held.sequences.items()):
            for gain in gains[::2]:
                rng = np.random.default_rng([11, int(gain)])
                rows = []
                for sequence in sequences:
                    stride = min(4, (len(sequence.frames) - 1) // (frames - 1))
                    start = int(rng.integers(len(sequence.frames) - stride * (frames - 1)))
                    rows.append(window(sequence, frames, stride, start, config.crop, rng))
                o = evaluate(model, collate(rows, [gain] * len(rows), [1 / gain] * len(rows)), False, training=False)
                out[f"{kind}/{gain:g}"] = {
                    "total_over_plain": round(
                        float(((o.latent_bits + o.residual_bits) / o.plain_bits.clamp_min(64)).mean()), 3
                    ),
                    "latent_bpp": round(float(o.latent_bits.mean()) / pixels, 4),
                    "nrmse": round(float(o.nrmse.mean()), 5),
                }
        return out

    run.train(loss, validate if (config.cache / "val").exists() else None, corpus.rescan)
    return run
