"""Trains the paper's architecture with the paper's loss: mean square error of the normalised field + λ × bits per
element.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.loop import LoopConfig, Run
from training.models import hyper
from training.models.reference import Reference, ReferenceConfig
from training.sampling import Corpus
from training.train_latents import MAX_STRIDE, draw, window

LAMBDAS = (1e-5, 1e-4)
"""Before and after half of the budget."""


@dataclass(frozen=True)
class ReferenceRun:
    loop: LoopConfig
    cache: Path
    model: ReferenceConfig = field(default_factory=ReferenceConfig)
    crop: int = 128
    """The paper has 256; smaller ones give more different samples for the same minutes."""
    initial: dict[str, Tensor] | None = None
    """Weights to start from, where there is no checkpoint to resume."""


def evaluate(model: Reference, x: Tensor, bfloat16: bool, training: bool) -> tuple[Tensor, Tensor]:
    """Mean square error and bits per element of each sample of `x [N, T, H, W]`."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        y = model.encoder(x)
    y = y.float()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        z = model.hyper_encoder(y)
    z = z.float()
    y_hat, bits = hyper.quantised(y, z, model.modelled, model.prior_bits, training)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        x_hat = model.decoder(y_hat)
    return (x - x_hat.float()).square().mean(dim=(1, 2, 3)), bits / x[0].numel()


def train(config: ReferenceRun) -> Run:
    torch.set_num_threads(1)
    torch.manual_seed(config.loop.seed)
    model = Reference(config.model)
    if config.initial:
        model.load_state_dict(config.initial)
    run = Run(config.loop, model)
    run.resume()
    corpus = Corpus(config.cache / "train")
    frames = config.model.frames

    def loss(model: Reference, rng: np.random.Generator, size: int) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(np.stack([draw(corpus, frames, config.crop, rng) for _ in range(size)]))
        mse, bits = evaluate(model, x, config.loop.bfloat16, training=True)
        weight = LAMBDAS[0] if run.progress() < 0.5 else LAMBDAS[1]
        shown = {"nrmse": float(mse.detach().mean().sqrt()), "bits_per_element": float(bits.detach().mean())}
        return mse.mean() + weight * bits.mean(), shown

    def validate(model: Reference) -> dict[str, Any]:
        held = Corpus(config.cache / "val")
        out: dict[str, Any] = {}
        for kind, sequences in sorted(held.sequences.items()):
            rng = np.random.default_rng(11)
            rows = []
            for sequence in sequences:
                stride = min(4, MAX_STRIDE, (len(sequence.frames) - 1) // (frames - 1))
                start = int(rng.integers(len(sequence.frames) - stride * (frames - 1)))
                rows.append(window(sequence, frames, stride, start, config.crop, rng))
            mse, bits = evaluate(model, torch.from_numpy(np.stack(rows)), False, training=False)
            nrmse = float(mse.mean().sqrt())
            out[kind] = {"nrmse": round(nrmse, 5), "bits_per_element": round(float(bits.mean()), 5)}
        return out

    run.train(loss, validate if (config.cache / "val").exists() else None, corpus.rescan)
    return run
