"""Samples for the interpolator: coded references around a clean middle frame, in the graph's normalised inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training import wavelet
from training.sampling import Corpus, Sequence, crop

MAX_DISTANCE = 16
"""Largest frame distance drawn, in saved frames."""
MOST_DRAWS = 10_000
"""Samples drawn for one, at most; of those of the corpus, one in three to ten is taken."""
FLOOR = 0.25
"""Errors below this share of the references' own mean square error hardly matter: the frame is no better."""


@dataclass(frozen=True)
class Request:
    """One sample before coding: five frames (outer ones may be repeats when absent) and how to corrupt them."""

    frames: np.ndarray
    """`[5, H, W]`: a2, a, target, b, b2."""
    present: tuple[bool, bool]
    step: float
    scatter: tuple[float, float, float, float]
    """Factors on the step per reference: hierarchy layers are coded at different steps."""
    remainder: tuple[float, float] = (0.0, 0.0)
    """How `a` and `b` were coded: 0 as a key frame, else as a residual of this share of its distance from the mean of
    *its* neighbours (`a2` and `b`, or `a` and `b2`), the rest taken as predicted."""


@dataclass(frozen=True)
class Batch:
    planes: Tensor
    cond: Tensor
    target: Tensor
    """`(frame − base) / e`, what a perfect graph would return."""
    floor: Tensor
    """A quarter of the references' own mean square error, in the same unit: errors well below it do not matter."""


def request(
    sequence: Sequence,
    size: int,
    distance: int,
    time: int,
    present: tuple[bool, bool],
    step: float,
    rng: np.random.Generator,
) -> Request:
    count = len(sequence.frames)
    left, right = (present[0] and time - 3 * distance >= 0), (present[1] and time + 3 * distance < count)
    times = [
        time - 3 * distance if left else time - distance,
        time - distance,
        time,
        time + distance,
        time + 3 * distance if right else time + distance,
    ]
    frames = crop(sequence, times, size, rng)
    if rng.random() < 0.5:
        frames, left, right = frames[::-1].copy(), right, left
    a, b, c, d = np.exp(rng.uniform(np.log(0.7), np.log(1.3), 4))
    share = [float(rng.uniform(0.2, 1)) if has and rng.random() < 0.5 else 0.0 for has in (left, right)]
    return Request(frames, (left, right), step, (a, b, c, d), (share[0], share[1]))


def worth(error: float, spread: float, span: float, step: float) -> float:
    """Share of samples kept, of those whose average of neighbours misses by `error` (RMS) in a frame of standard
    deviation `spread` and a sequence of range `span`.

    Little is left to gain far below the step or the finest bound, and less where the frames have little in common."""
    keep = 1.0 if error > 0.1 * step else 0.1 if error > 0.01 * step else 0.0
    if error < 1e-3 * span:
        keep *= 0.25
    if error > 0.8 * spread:
        keep *= 0.7
    return keep


def draw(corpus: Corpus, size: int, rng: np.random.Generator, written: tuple[int, ...] | None = None) -> Request:
    """A sample at a random rate and step; most of those that have little to teach are redrawn.

    `written` are the frame distances at which frames will be written, where that is known: a hierarchical window then
    asks for these, twice and four times these.

    Raises `ValueError` where nothing worth learning from comes up."""
    for _ in range(MOST_DRAWS):
        sequence = corpus.draw(rng)
        count = len(sequence.frames)
        if written:
            distance = int(rng.choice(written)) << int(rng.integers(3))
            distance = max(1, min(distance, (count - 1) // 2))
        else:
            limit = min(MAX_DISTANCE, (count - 1) // 2)
            distance = int(np.exp(rng.uniform(0, np.log(limit + 0.999))))
        inner = (count - 1) // 6 >= distance and rng.random() < 0.6
        margin = 3 * distance if inner else distance
        time = int(rng.integers(margin, count - margin))
        present = ((True, True), (True, False), (False, True), (False, False))[rng.choice(4, p=[0.6, 0.13, 0.13, 0.14])]
        step = sequence.range * float(np.exp(rng.uniform(np.log(1e-3), np.log(1.5e-1))))
        made = request(sequence, size, distance, time, present, step, rng)
        f = made.frames
        error = float(np.sqrt(np.mean(np.square(f[2] - (f[1] + f[3]) / 2, dtype=np.float64))))
        if rng.random() < worth(error, float(f[2].std(dtype=np.float64)), sequence.range, step):
            return made
    raise ValueError(
        f"{MOST_DRAWS} samples in a row had nothing to learn from, the last of {sequence.path}, "
        f"which spans {sequence.range:g}: "
        "do its fields stand still between frames, or is that range one of a fill value?"
    )


def collate(requests: list[Request]) -> Batch:
    """Codes the references and computes the inputs as the host does (docs/model-package.md), with a floor under `e`."""
    frames = torch.from_numpy(np.stack([r.frames for r in requests]))
    q = torch.tensor([r.step for r in requests])[:, None, None, None]
    scatter = torch.tensor(np.array([r.scatter for r in requests]), dtype=torch.float32)[:, :, None, None]
    levels = 5 if frames.shape[-1] % 32 == 0 else 4
    centre = frames.mean(dim=(1, 2, 3), keepdim=True)
    clean = frames[:, [0, 1, 3, 4]] - centre
    share = torch.tensor([[*r.remainder] for r in requests])[:, :, None, None]
    inner = clean[:, 1:3]
    neighbours = (clean[:, [0, 1]] + clean[:, [2, 3]]) / 2
    predicted = torch.zeros_like(clean)
    predicted[:, 1:3] = torch.where(share > 0, inner - share * (inner - neighbours), torch.zeros(()))
    coded = predicted + wavelet.code(clean - predicted, q * scatter, levels)
    a2, a, b, b2 = (coded[:, i : i + 1] for i in range(4))
    has_a2 = torch.tensor([[[[float(r.present[0])]]] for r in requests])
    has_b2 = torch.tensor([[[[float(r.present[1])]]] for r in requests])
    noise = (coded - clean)[:, 1:3].square().mean(dim=(1, 2, 3))
    return normalise(a2, a, b, b2, has_a2, has_b2, q, frames[:, 2:3] - centre, noise)


def base(a2: Tensor, a: Tensor, b: Tensor, b2: Tensor, has_a2: Tensor, has_b2: Tensor) -> Tensor:
    """The polynomial through the references at the target time."""
    both = (9 * (a + b) - (a2 + b2)) / 16
    left = (6 * a + 3 * b - a2) / 8
    right = (3 * a + 6 * b - b2) / 8
    none = (a + b) / 2
    return torch.where(has_a2 > 0, torch.where(has_b2 > 0, both, left), torch.where(has_b2 > 0, right, none))


def normalise(
    a2: Tensor,
    a: Tensor,
    b: Tensor,
    b2: Tensor,
    has_a2: Tensor,
    has_b2: Tensor,
    q: Tensor,
    target: Tensor,
    noise: Tensor,
) -> Batch:
    """The graph's inputs; `noise [N]` is the mean square coding error of the inner references."""
    pair = torch.cat([a, b], dim=1)
    m = pair.mean(dim=(1, 2, 3), keepdim=True)
    s = pair.std(dim=(1, 2, 3), keepdim=True, unbiased=False).clamp_min(1e-20)
    e = (b - a).square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-4 * s)
    middle = base(a2, a, b, b2, has_a2, has_b2)
    planes = torch.cat(
        [
            (a - m) / s,
            (b - m) / s,
            (b - a) / e,
            has_a2 * (a2 - a) / e,
            has_b2 * (b2 - b) / e,
            (middle - (a + b) / 2) / e,
        ],
        dim=1,
    )
    ratio = torch.log(e / s).clamp(-8, 2)
    coarseness = torch.log(q / e).clamp(-8, 4)
    cond = torch.cat([ratio, coarseness, has_a2, has_b2], dim=1)[:, :, 0, 0]
    return Batch(planes, cond, (target - middle) / e, FLOOR * noise / e.square()[:, 0, 0, 0])
