"""Draws training samples from the corpus cache: random sequences, times, frame distances, crops and symmetries."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Array = np.ndarray


@dataclass
class Sequence:
    kind: str
    path: Path
    frames: Array
    """Memory-mapped `[T, H, W]`."""
    range: float
    mean: float


def statistics(path: Path, frames: Array) -> tuple[float, float]:
    """Range and mean of a sequence, kept in a small file beside it: a start should not read the whole corpus."""
    beside = path.with_suffix(".stats.json")
    if beside.exists() and beside.stat().st_mtime >= path.stat().st_mtime:
        known = json.loads(beside.read_text())
    else:
        known = {"range": float(frames.max() - frames.min()), "mean": float(frames.mean(dtype=np.float64))}
        if os.access(path.parent, os.W_OK):
            # Runs start side by side: another must not read half of it.
            part = beside.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(known))
            part.rename(beside)
    return known["range"], known["mean"]


@dataclass
class Corpus:
    """All sequences of one split; `rescan` picks up files that have appeared since."""

    root: Path
    weights: dict[str, float] = field(default_factory=dict)
    """Relative share of a kind in the draws, 1 unless named."""
    sequences: dict[str, list[Sequence]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known: set[Path] = set()
        self.rescan()
        if not self.sequences:
            raise FileNotFoundError(f"no sequences under {self.root}; build the corpus first (training.cli corpus)")

    def rescan(self) -> None:
        for path in sorted(self.root.glob("*/*.npy")):
            if path in self.known or path.name.endswith(".part.npy"):
                continue
            self.known.add(path)
            frames = np.load(path, mmap_mode="r")
            span, mean = statistics(path, frames)
            if span > 0:
                self.sequences.setdefault(path.parent.name, []).append(
                    Sequence(path.parent.name, path, frames, span, mean)
                )

    def draw(self, rng: np.random.Generator) -> Sequence:
        kinds = sorted(self.sequences)
        p = np.array([self.weights.get(k, 1.0) for k in kinds])
        kind = kinds[rng.choice(len(kinds), p=p / p.sum())]
        return self.sequences[kind][rng.integers(len(self.sequences[kind]))]


PERIODIC = {
    "acoustic",
    "gray_scott",
    "quasigeostrophic",
    "random_fields",
    "shallow_water",
    "turbulence",
    "turbulence3d",
    "weather",
}
"""Kinds whose fields are periodic both ways."""


def crop(sequence: Sequence, times: list[int], size: int, rng: np.random.Generator, centre: float = 0.0) -> Array:
    """`[len(times), size, size]` less `centre`, at a random place, in a random orientation and sign.

    Smaller fields are repeated where they are periodic, else reflected."""
    _, h, w = sequence.frames.shape
    y, x = (int(rng.integers(max(n - size, 0) + 1)) for n in (h, w))
    out = np.stack([sequence.frames[t, y : y + size, x : x + size] for t in times]).astype(np.float32)
    out -= np.float32(centre)
    if out.shape[1] < size or out.shape[2] < size:
        missing = (0, 0), (0, size - out.shape[1]), (0, size - out.shape[2])
        out = np.pad(out, missing, mode="wrap" if sequence.kind in PERIODIC else "symmetric")
    if rng.random() < 0.5:
        out = out[:, ::-1]
    if rng.random() < 0.5:
        out = out[:, :, ::-1]
    if rng.random() < 0.5:
        out = out.transpose(0, 2, 1)
    if rng.random() < 0.5:
        out = -out
    return np.ascontiguousarray(out)
