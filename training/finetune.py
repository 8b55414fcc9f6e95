"""Continues the interpolator and the enhancer of a package on a user's own sequences, and writes a new package with them.

Weights come from the package's graphs (initialisers keep their PyTorch names), so no checkpoint of the base is needed. Its
other parts are taken over unchanged. The enhancer learns from what the tool makes of the sequences.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import export, pairs, weights
from training.loop import LoopConfig
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
    """For both networks together."""
    steps: int | None = None
    """For each network."""
    learning_rate: float = 3e-4
    batch: int = 8
    crop: int = 128
    pairs: int = 200
    seed: int = 1


ALIGN = 32
"""Crops have sides of multiples of this."""
ENHANCER_SHARE = 2 / 3
"""Of the minutes: it gains more, and on more fields."""


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

    def loop(part: str, share: float) -> LoopConfig:
        return LoopConfig(
            folder=config.run_folder / part,
            seed=config.seed,
            batch=config.batch,
            learning_rate=config.learning_rate,
            warm_up=100,
            steps=config.steps,
            minutes=config.minutes * share if config.minutes else None,
        )

    enhances = (config.base / "enhancer.onnx").exists()
    interpolator = loop("interpolator", 1 - ENHANCER_SHARE if enhances else 1)
    train_interpolator(InterpolatorRun(interpolator, data, crop=crop, initial=weights.start(config.base)))
    enhancer = loop("enhancer", ENHANCER_SHARE) if enhances else None
    if enhancer:
        pairs.make(data, made, config.tool, config.pairs, config.seed)
        train_enhancer(
            EnhancerRun(
                enhancer,
                made,
                crops=tuple(sorted({min(n, crop) for n in EnhancerRun.crops})),
                initial=weights.start(config.base, "enhancer"),
            )
        )
    base = json.loads((config.base / "manifest.json").read_text())
    manifest = export.export(
        export.ExportConfig(
            config.out, interpolator.folder, None, enhancer=enhancer.folder if enhancer else None, base=config.base
        )
    )
    manifest["training"] |= {"base": base["name"], "corpus": [p.name for p in config.data]}
    (config.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
