"""Trains the enhancer on pairs that the real tool made: loss per sample `log(mse + floor)`, one unit being the frames'
error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training import pairs
from training.loop import LoopConfig, Run
from training.models.enhancer import EnhancerConfig, enhancer
from training.pairs import Pair
from training.sampling import Array

FLOOR = 0.05
"""Crops much better than their field's mean error hardly matter."""
DULL = 0.02
"""Crops below this share of the field's mean square error are mostly drawn again."""
COND = (-4.0, 12.0)
"""Limits of the condition, as the host's."""


@dataclass(frozen=True)
class EnhancerRun:
    loop: LoopConfig
    pairs: Path
    """Folder that `training.cli pairs` wrote."""
    model: EnhancerConfig = field(default_factory=EnhancerConfig)
    crops: tuple[int, ...] = (96, 128, 192, 256)
    """Sides of crops; a batch has one of them, and fewer of larger ones. With 96 alone the network learns where edges
    are: better on 96, worse than nothing on tiles of 256."""
    weights: dict[str, float] = field(
        default_factory=lambda: {"turbulence": 1.5, "quasigeostrophic": 1.3, "weather": 1.5, "climate": 0.5}
    )
    initial: dict[str, Tensor] | None = None
    """Weights to start from, where there is no checkpoint to resume."""


@dataclass(frozen=True)
class Batch:
    frames: Tensor
    cond: Tensor
    target: Tensor


def inputs(decoded: Array, sigma: float) -> tuple[Array, float]:
    """The graph's inputs as the host computes them."""
    mean, spread = decoded.mean(dtype=np.float64), decoded.std(dtype=np.float64)
    cond = float(np.clip(np.log(max(spread / sigma, 1e-9)), *COND))
    return (decoded - np.float32(mean)) / np.float32(sigma), cond


def sample(pair: Pair, time: int, frames: int, place: tuple[slice, slice]) -> tuple[Array, Array]:
    """The decoded frames around one, the ends repeated, and what it lacks over `sigma`."""
    times = np.clip(np.arange(time - frames // 2, time + frames // 2 + 1), 0, len(pair.decoded) - 1)
    return np.asarray(pair.decoded[times, *place], dtype=np.float32), np.asarray(
        pair.error[time, *place], dtype=np.float32
    )


def draw(
    known: dict[str, list[Pair]], config: EnhancerRun, crop: int, rng: np.random.Generator
) -> tuple[Array, float, Array]:
    """A random crop in a random orientation, direction of time and sign."""
    kinds = sorted(known)
    share = np.array([config.weights.get(kind, 1.0) for kind in kinds])
    while True:
        of_kind = known[kinds[rng.choice(len(kinds), p=share / share.sum())]]
        pair = of_kind[rng.integers(len(of_kind))]
        count, h, w = pair.decoded.shape
        if min(h, w) < crop:
            continue
        y, x = (4 * int(rng.integers((n - crop) // 4 + 1)) for n in (h, w))
        place = slice(y, y + crop), slice(x, x + crop)
        decoded, error = sample(pair, int(rng.integers(count)), config.model.frames, place)
        if np.square(error).mean() < DULL and rng.random() < 0.8:
            continue
        if rng.random() < 0.5:
            decoded, error = decoded[:, ::-1], error[::-1]
        if rng.random() < 0.5:
            decoded, error = decoded[:, :, ::-1], error[:, ::-1]
        if rng.random() < 0.5:
            decoded, error = decoded.transpose(0, 2, 1), error.T
        if rng.random() < 0.5:
            decoded, error = -decoded, -error
        if rng.random() < 0.5:
            decoded = decoded[::-1]
        made, cond = inputs(decoded, pair.sigma)
        return made, cond, error


def collate(samples: list[tuple[Array, float, Array]]) -> Batch:
    made, cond, error = zip(*samples, strict=True)
    return Batch(
        torch.from_numpy(np.stack(made)),
        torch.tensor(cond, dtype=torch.float32)[:, None],
        torch.from_numpy(np.stack(error))[:, None],
    )


def sample_loss(model: nn.Module, batch: Batch, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """Per sample: `log(mse + floor)` over that before, and the gain in dB."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        correction = model(batch.frames.to(memory_format=torch.channels_last), batch.cond)
    mse = (correction.float() - batch.target).square().mean(dim=(1, 2, 3))
    before = batch.target.square().mean(dim=(1, 2, 3))
    loss = torch.log((mse + FLOOR) / (before + FLOOR))
    return loss, -10 / np.log(10) * loss.detach()


def evaluate(model: nn.Module, known: dict[str, list[Pair]], config: EnhancerConfig, every: int) -> dict[str, float]:
    """Gain in dB per kind and bound over one in `every` frames, and the mean over the simulated kinds."""
    found: dict[str, list[float]] = {}
    for kind, of_kind in known.items():
        for pair in of_kind:
            count, h, w = pair.decoded.shape
            place = slice(0, h // config.align * config.align), slice(0, w // config.align * config.align)
            before = after = 0.0
            for time in range(every // 2, count, every):
                decoded, error = sample(pair, time, config.frames, place)
                made, cond = inputs(decoded, pair.sigma)
                batch = collate([(made, cond, error)])
                left = batch.target - model(batch.frames, batch.cond)
                before, after = before + float(batch.target.square().sum()), after + float(left.square().sum())
            found.setdefault(f"{kind}/{pair.bound:g}", []).append(10 * np.log10(before / max(after, 1e-12)))
    out = {name: round(float(np.mean(values)), 3) for name, values in found.items()}
    simulated = [value for name, value in out.items() if not name.startswith("climate")]
    return out | {"mean": round(float(np.mean(simulated or list(out.values()))), 3)}


def start(model: nn.Module, initial: dict[str, Tensor]) -> None:
    """Takes over weights: all of the model's, or all of a smaller one's, whose function the model's other weights leave
    as it is.

    Raises `ValueError` where they are of neither."""
    known = model.state_dict()
    taken = {name: value for name, value in initial.items() if name in known and value.shape == known[name].shape}
    small = enhancer(EnhancerConfig()).state_dict()
    if missing := sorted((known.keys() if taken.keys() >= known.keys() else small.keys()) - taken.keys()):
        raise ValueError(f"the weights to start from are of no enhancer: {', '.join(missing[:3])} … are not among them")
    model.load_state_dict(taken, strict=False)


def train(config: EnhancerRun) -> Run:
    torch.set_num_threads(1)
    torch.manual_seed(config.loop.seed)
    model = enhancer(config.model)
    if config.initial:
        start(model, config.initial)
    run = Run(config.loop, model)
    run.resume()
    known = pairs.load(config.pairs / "train")
    val = pairs.load(config.pairs / "val") if (config.pairs / "val").exists() else {}
    largest = max(min(pair.decoded.shape[1:]) for of_kind in known.values() for pair in of_kind)
    crops = [crop for crop in config.crops if crop <= largest]
    if not crops:
        raise ValueError(f"frames have sides of at most {largest}; crops have {config.crops[0]} or more")

    def loss(model: nn.Module, rng: np.random.Generator, size: int) -> tuple[Tensor, dict[str, float]]:
        crop = int(rng.choice(crops))
        count = max(1, round(size * (crops[0] / crop) ** 2))
        values, gain = sample_loss(
            model, collate([draw(known, config, crop, rng) for _ in range(count)]), config.loop.bfloat16
        )
        return values.mean(), {"gain_db": float(gain.mean())}

    def validate(model: nn.Module) -> dict[str, Any]:
        return evaluate(model, val, config.model, 6)

    def rescan() -> None:
        known.update(pairs.load(config.pairs / "train"))

    run.train(loss, validate if val else None, rescan)
    return run
