"""Trains the interpolator: loss per sample `log(mse + floor)`, in units where the references' difference has RMS 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training import triplets
from training.loop import LoopConfig, Run
from training.models.interpolator import Interpolator, InterpolatorConfig
from training.sampling import Corpus

VALIDATION_DISTANCES = (1, 2, 4, 8)
VALIDATION_STEPS = (2e-3, 1.5e-2)
"""Quantiser steps of validation, in units of the sequence's range."""


@dataclass(frozen=True)
class InterpolatorRun:
    loop: LoopConfig
    cache: Path
    model: InterpolatorConfig = field(default_factory=InterpolatorConfig)
    crop: int = 128
    weights: dict[str, float] = field(
        default_factory=lambda: {"turbulence": 2.0, "quasigeostrophic": 1.5, "climate": 0.5}
    )
    initial: dict[str, Tensor] | None = None
    """Weights to start from, where there is no checkpoint to resume."""
    written: tuple[int, ...] | None = None
    """Frame distances at which frames will be written, in frames of the sequences; `None`: any."""


def sample_loss(model: nn.Module, batch: triplets.Batch, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """Per sample: `log(mse + floor)` and the base's own mean square error."""
    planes = batch.planes.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        correction = model(planes, batch.cond)
    mse = (correction.float() - batch.target).square().mean(dim=(1, 2, 3))
    return torch.log(mse + batch.floor + 1e-7), mse


def gain_db(mse: Tensor, batch: triplets.Batch) -> Tensor:
    """Gain over the polynomial base per sample, the part below the floor not counted."""
    base = batch.target.square().mean(dim=(1, 2, 3))
    return 10 * torch.log10((base + batch.floor) / (mse + batch.floor))


def validation_batches(cache: Path, per_cell: int = 2) -> dict[str, triplets.Batch]:
    """Fixed samples per kind and frame distance, at a fine and a coarse step."""
    corpus = Corpus(cache / "val")
    out = {}
    for kind, sequences in sorted(corpus.sequences.items()):
        for distance in VALIDATION_DISTANCES:
            rng = np.random.default_rng([7, distance])
            requests = []
            for sequence in sequences:
                count = len(sequence.frames)
                if count < 2 * distance + 1:
                    continue
                margin = min(3 * distance, (count - 1) // 2)
                for step in VALIDATION_STEPS:
                    for _ in range(per_cell):
                        time = int(rng.integers(margin, count - margin))
                        requests.append(
                            triplets.request(sequence, 128, distance, time, (True, True), step * sequence.range, rng)
                        )
            if requests:
                out[f"{kind}/{distance}"] = triplets.collate(requests)
    return out


def train(config: InterpolatorRun) -> Run:
    torch.set_num_threads(1)
    torch.manual_seed(config.loop.seed)
    model = Interpolator(config.model)
    if config.initial:
        model.load_state_dict({name: config.initial[name] for name in model.state_dict()})
    run = Run(config.loop, model)
    run.resume()
    corpus = Corpus(config.cache / "train", config.weights)

    def loss(model: nn.Module, rng: np.random.Generator, size: int) -> tuple[Tensor, dict[str, float]]:
        batch = triplets.collate([triplets.draw(corpus, config.crop, rng, config.written) for _ in range(size)])
        values, mse = sample_loss(model, batch, config.loop.bfloat16)
        return values.mean(), {"gain_db": float(gain_db(mse.detach(), batch).mean())}

    def validate(model: nn.Module) -> dict[str, Any]:
        out = {}
        for name, batch in validation_batches(config.cache).items():
            _, mse = sample_loss(model, batch, False)
            out[name] = round(float(gain_db(mse, batch).mean()), 3)
        out["mean"] = round(float(np.mean(list(out.values()))), 3)
        return out

    run.train(loss, validate if (config.cache / "val").exists() else None, corpus.rescan)
    return run
