"""Continues the interpolator and the enhancer of a package on a user's own sequences, and writes a new package with them.

Weights come from the package's graphs (initialisers keep their PyTorch names), so no checkpoint of the base is needed. Its
other parts are taken over unchanged. The enhancer learns from what the tool makes of the sequences. The two networks know
nothing of each other, and train side by side, a core each.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training import export, pairs, weights
from training.loop import LoopConfig, Run
from training.train_enhancer import EnhancerRun
from training.train_enhancer import train as train_enhancer
from training.train_interpolator import InterpolatorRun
from training.train_interpolator import train as train_interpolator


@dataclass(frozen=True)
class FinetuneConfig:
    base: Path
    data: list[Path]
    """`.npy` files `[frames, H, W]`, in order of time."""
    run_folder: Path
    out: Path
    tool: Path
    """The `fieldpress` tool, which makes the enhancer's pairs."""
    minutes: float | None = None
    """For each network."""
    steps: int | None = None
    """For each network."""
    written: tuple[int, ...] = (1,)
    """Frame distances at which the run writes, in frames of the data."""
    learning_rate: float = 3e-4
    batch: int = 8
    crop: int = 128
    pairs: int = 200
    seed: int = 1


ALIGN = 32
"""Crops have sides of multiples of this."""


def alone(train: Callable[[Any], Run], run: InterpolatorRun | EnhancerRun) -> None:
    """`train` without its result, which is not for another process."""
    train(run)


def finetune(config: FinetuneConfig) -> dict[str, object]:
    links = config.run_folder / "data" / "train" / "user"
    links.mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(config.data):
        link = links / f"{index:03d}_{path.name}"
        if not link.exists():
            link.symlink_to(path.resolve())
    data, made = config.run_folder / "data", config.run_folder / "pairs"
    side = min(min(np.load(path, mmap_mode="r").shape[1:]) for path in config.data)
    crop = min(config.crop, side // ALIGN * ALIGN)
    if crop == 0:
        raise ValueError(f"frames have sides of {side}; the networks need at least {ALIGN}")

    def loop(part: str, line: int) -> LoopConfig:
        return LoopConfig(
            folder=config.run_folder / part,
            line=line,
            seed=config.seed,
            batch=config.batch,
            learning_rate=config.learning_rate,
            warm_up=100,
            steps=config.steps,
            minutes=config.minutes,
        )

    interpolator = loop("interpolator", 0)
    enhancer = loop("enhancer", 1) if (config.base / "enhancer.onnx").exists() else None
    run = InterpolatorRun(interpolator, data, crop=crop, initial=weights.start(config.base), written=config.written)
    runs: list[tuple[Any, Any]] = [(train_interpolator, run)]
    if enhancer:
        predictor = export.predictor(config.base, config.run_folder / "predictor")
        pairs.make(data, made, config.tool, config.pairs, config.seed, config.written, predictor)
        # As large as the frames allow: see `EnhancerRun.crops`.
        crops = tuple(sorted({min(n, side // ALIGN * ALIGN) for n in EnhancerRun.crops}))
        runs.append((train_enhancer, EnhancerRun(enhancer, made, crops=crops, initial=weights.start(config.base, "enhancer"))))
    # Processes, and fresh ones: PyTorch's threads do not survive a fork, and its settings are of the whole process.
    with ProcessPoolExecutor(len(runs), multiprocessing.get_context("spawn")) as pool:
        for one in [pool.submit(alone, *run) for run in runs]:
            one.result()
    base = json.loads((config.base / "manifest.json").read_text())
    manifest = export.export(
        export.ExportConfig(
            config.out, interpolator.folder, None, enhancer=enhancer.folder if enhancer else None, base=config.base
        )
    )
    manifest["training"] |= {"base": base["name"], "corpus": [p.name for p in config.data]}
    (config.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
