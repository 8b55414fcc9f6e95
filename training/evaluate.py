"""Measures a package's interpolator on whole frames of `.npy` sequences, through ONNX Runtime: gain over the polynomial
base.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from training import triplets

DISTANCES = (1, 2, 4)
STEPS = (3e-3, 2e-2)
"""Quantiser steps, in units of the sequence's range."""
FRAMES_PER_CELL = 3


@dataclass(frozen=True)
class Row:
    file: str
    distance: int
    step: float
    base_nrmse: float
    gain_db: float
    useful_db: float
    """Gain with errors below the step's own noise floor left out of both sides, as in the loss."""
    megabytes_per_second: float


def session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def evaluate(package: Path, files: list[Path]) -> list[Row]:
    torch.set_num_threads(1)
    graph = session(package / "interpolator.onnx")
    rows = []
    for file in files:
        frames = np.load(file, mmap_mode="r")
        count, (h, w) = len(frames), (n // 32 * 32 for n in frames.shape[1:])
        span = float(frames.max() - frames.min())
        for distance in DISTANCES:
            if count < 2 * distance + 1:
                continue
            for step in STEPS:
                requests = []
                for target in np.linspace(distance, count - 1 - distance, FRAMES_PER_CELL).astype(int):
                    left, right = target - 3 * distance >= 0, target + 3 * distance < count
                    times = [target - (3 if left else 1) * distance, target - distance, target, target + distance]
                    times.append(target + (3 if right else 1) * distance)
                    values = np.stack([frames[t, :h, :w] for t in times])
                    requests.append(triplets.Request(values, (left, right), step * span, (1.0, 1.0, 1.0, 1.0)))
                batch = triplets.collate(requests)
                planes, cond, best = batch.planes.numpy(), batch.cond.numpy(), np.inf
                for _ in range(2):
                    start = time.thread_time()
                    got = graph.run(None, {"planes": planes, "cond": cond})[0]
                    best = min(best, time.thread_time() - start)
                base = batch.target.square().mean(dim=(1, 2, 3))
                left_over = (batch.target - torch.from_numpy(got)).square().mean(dim=(1, 2, 3))
                unit = torch.from_numpy(np.exp(cond[:, 1])) / step
                rows.append(
                    Row(
                        file.stem,
                        distance,
                        step,
                        float((base.sqrt() / unit).mean()),
                        float(10 * torch.log10(base / left_over).mean()),
                        float(10 * torch.log10((base + batch.floor) / (left_over + batch.floor)).mean()),
                        got.nbytes / best / 1e6,
                    )
                )
    return rows


def report(rows: list[Row]) -> str:
    lines = [f"{'file':24s} {'d':>2s} {'step':>7s} {'base nrmse':>10s} {'gain dB':>8s} {'useful':>7s} {'MB/s':>6s}"]
    lines += [
        f"{r.file:24s} {r.distance:2d} {r.step:7.4f} {r.base_nrmse:10.2e} {r.gain_db:8.2f} {r.useful_db:7.2f} "
        f"{r.megabytes_per_second:6.1f}"
        for r in rows
    ]
    return "\n".join(lines)
