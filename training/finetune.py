"""Continues the interpolator of a package on a user's own sequences, and writes a new package with it.

Weights come from the package's graph (initialisers keep their PyTorch names), so no checkpoint of the base is needed. Its
other parts are taken over unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from training import export, weights
from training.loop import LoopConfig
from training.train_interpolator import InterpolatorRun, train


@dataclass(frozen=True)
class FinetuneConfig:
    base: Path
    data: list[Path]
    """`.npy` files `[frames, H, W]`, in order of time."""
    run_folder: Path
    out: Path
    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 1e-4
    batch: int = 8
    crop: int = 128
    seed: int = 1


def finetune(config: FinetuneConfig) -> dict[str, object]:
    links = config.run_folder / "data" / "train" / "user"
    links.mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(config.data):
        link = links / f"{index:03d}_{path.name}"
        if not link.exists():
            link.symlink_to(path.resolve())
    loop = LoopConfig(
        folder=config.run_folder,
        seed=config.seed,
        batch=config.batch,
        learning_rate=config.learning_rate,
        warm_up=100,
        steps=config.steps,
        minutes=config.minutes,
    )
    train(InterpolatorRun(loop, config.run_folder / "data", crop=config.crop, initial=weights.start(config.base)))
    base = json.loads((config.base / "manifest.json").read_text())
    manifest = export.export(export.ExportConfig(config.out, config.run_folder, None, base=config.base))
    manifest["training"] |= {"base": base["name"], "corpus": [p.name for p in config.data]}
    (config.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
