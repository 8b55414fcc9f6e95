"""Continues the interpolator and the enhancers of a package on a user's own sequences, and writes a new package with
them.

Weights come from the package's graphs (initialisers keep their PyTorch names), so no checkpoint of the base is needed.
Its other parts are taken over unchanged. The enhancers learn from what the tool makes of the sequences. The networks
know nothing of each other, and train side by side, a core each.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from training import export, pairs, userdata, weights
from training.loop import LoopConfig, Run
from training.models.enhancer import EnhancerConfig, FineEnhancerConfig
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
    networks: tuple[str, ...] = ("interpolator", "enhancer", "enhancer_fine")
    """Those to continue, where the package has them: effort 1 uses the first two, effort 2 the first and the last."""


ENHANCERS = {"enhancer": EnhancerConfig(), "enhancer_fine": FineEnhancerConfig()}
ALIGN = 32
"""Crops have sides of multiples of this."""


def alone(train: Callable[[Any], Run], run: InterpolatorRun | EnhancerRun, failure: Connection) -> None:
    """Trains, and sends what went wrong to the process that waits."""
    try:
        train(run)
    except Exception as wrong:
        failure.send(wrong)
        raise SystemExit(1) from wrong


def side_by_side(runs: list[tuple[Callable[[Any], Run], Any]]) -> None:
    """Trains in processes of their own, and fresh ones: PyTorch's threads do not survive a fork, and its settings are
    of all of a process. The first failure ends all, and is raised here."""
    spawn = multiprocessing.get_context("spawn")
    failure, theirs = spawn.Pipe(duplex=False)
    processes = [spawn.Process(target=alone, args=(*run, theirs), daemon=True) for run in runs]
    for process in processes:
        process.start()
    try:
        while running := [process.sentinel for process in processes if process.exitcode is None]:
            wait(running)
            for process in processes:
                if process.exitcode:
                    raise (
                        failure.recv() if failure.poll() else RuntimeError(f"a training ended with {process.exitcode}")
                    )
    finally:
        for process in processes:
            process.terminate()
            process.join()


def begun(config: FinetuneConfig) -> dict[str, object]:
    """What a run folder was begun with, and only goes on with."""
    files = {str(path.resolve()): [path.stat().st_size, path.stat().st_mtime_ns] for path in config.data}
    base = hashlib.sha256((config.base / "manifest.json").read_bytes()).hexdigest()
    return {
        "data": files,
        "base": base,
        "distances": list(config.written),
        "learning_rate": config.learning_rate,
        "batch": config.batch,
        "crop": config.crop,
        "pairs": config.pairs,
        "seed": config.seed,
        "networks": list(config.networks),
    }


def enter(config: FinetuneConfig) -> None:
    """Begins a run folder, or goes on with one that was begun with the same. The data is in it once all of it was
    sound.
    """
    asked, note = begun(config), config.run_folder / "finetune.json"
    if note.exists():
        for name, value in json.loads(note.read_text()).items():
            if value != asked[name]:
                other = f"{name.replace('_', ' ')}: {value}, not {asked[name]}"
                raise ValueError(f"{config.run_folder} was begun with other {other}; name another folder")
        return
    users = config.run_folder / "data" / "train" / "user"
    if users.exists():
        shutil.rmtree(users)
    for index, path in enumerate(config.data):
        userdata.prepare(path, users / f"{index:03d}_{path.name}", config.written)
    note.write_text(json.dumps(asked, indent=2) + "\n")


def finetune(config: FinetuneConfig) -> dict[str, object]:
    side = min(min(userdata.opened(path, config.written).shape[1:]) for path in config.data)
    crop = min(config.crop, side // ALIGN * ALIGN)
    if crop == 0:
        raise ValueError(f"frames have sides of {side}; the networks need at least {ALIGN}")
    config.run_folder.mkdir(parents=True, exist_ok=True)
    enter(config)
    data, made = config.run_folder / "data", config.run_folder / "pairs"

    parts = [part for part in config.networks if (config.base / f"{part}.onnx").exists()]
    if not parts:
        raise ValueError(f"{config.base} has none of the networks to continue: {', '.join(config.networks)}")

    def loop(part: str) -> LoopConfig:
        return LoopConfig(
            folder=config.run_folder / part,
            line=parts.index(part),
            seed=config.seed,
            batch=config.batch,
            learning_rate=config.learning_rate,
            warm_up=100,
            earlier=weights.history(config.base, part),
            steps=config.steps,
            minutes=config.minutes,
        )

    if set(parts) & ENHANCERS.keys():
        predictor = export.predictor(config.base, config.run_folder / "predictor")
        pairs.make(data, made, config.tool, config.pairs, config.seed, config.written, predictor)
    # As large as the frames allow: see `EnhancerRun.crops`.
    crops = tuple(sorted({min(n, side // ALIGN * ALIGN) for n in EnhancerRun.crops}))
    runs: list[tuple[Callable[[Any], Run], Any]] = []
    for part in parts:
        initial = weights.start(config.base, part)
        if part in ENHANCERS:
            runs.append((train_enhancer, EnhancerRun(loop(part), made, ENHANCERS[part], crops=crops, initial=initial)))
        else:
            run = InterpolatorRun(loop(part), data, crop=crop, initial=initial, written=config.written)
            runs.append((train_interpolator, run))
    side_by_side(runs)
    base = json.loads((config.base / "manifest.json").read_text())
    folders = {part: config.run_folder / part for part in parts}
    manifest = export.export(
        export.ExportConfig(
            config.out,
            folders.get("interpolator"),
            None,
            enhancer=folders.get("enhancer"),
            enhancer_fine=folders.get("enhancer_fine"),
            base=config.base,
        )
    )
    manifest["training"] |= {"base": base["name"], "corpus": [p.name for p in config.data]}
    (config.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
