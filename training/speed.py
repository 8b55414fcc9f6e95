"""Times the graphs of packages through ONNX Runtime: one thread, processor time, median of runs in turn."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from training.evaluate import session

FRAMES = ("interpolator", "enhancer", "enhancer_fine")
"""Graphs that make a frame at a time."""
GRAPHS = (*FRAMES, "encoder", "hyper_encoder", "hyper_decoder", "decoder")


@dataclass(frozen=True)
class Timing:
    package: str
    graph: str
    tile: str
    """Frames (where a graph takes several at once) and sides of what one run works on."""
    milliseconds: float


@dataclass(frozen=True)
class Graph:
    package: str
    name: str
    tile: str
    session: onnxruntime.InferenceSession
    inputs: dict[str, np.ndarray]

    def run(self) -> float:
        """Processor time of one run, in milliseconds."""
        start = time.process_time()
        self.session.run(None, self.inputs)
        return 1e3 * (time.process_time() - start)


def graphs(package: Path, side: int) -> list[Graph]:
    """Every graph of a package with noise as its input, of the size that it has for tiles of `side × side` points."""
    manifest = json.loads((package / "manifest.json").read_text())
    latents = manifest.get("latents", {})
    below = {
        "decoder": latents.get("y_downsample"),
        "hyper_encoder": latents.get("y_downsample"),
        "hyper_decoder": latents.get("z_downsample"),
    }
    noise = np.random.default_rng(1)
    found = []
    for name in GRAPHS:
        path = package / f"{name}.onnx"
        if not path.exists():
            continue
        shrunk = side // below.get(name, 1)
        opened = session(path)
        inputs = {}
        for given in opened.get_inputs():
            shape = (1, given.shape[1], shrunk, shrunk)[: len(given.shape)]
            inputs[given.name] = noise.standard_normal(shape).astype(np.float32)
        window = f"{latents['frames']} × " if name not in FRAMES else ""
        found.append(Graph(manifest["name"], name, f"{window}{side}²", opened, inputs))
    return found


def timings(packages: Sequence[Path], side: int = 256, rounds: int = 9) -> list[Timing]:
    """Medians over `rounds` runs of each graph, after one that is not counted; graphs take turns, so that what else the
    machine does falls on all of them."""
    known = [graph for package in packages for graph in graphs(package, side)]
    for graph in known:
        graph.run()
    runs = [[graph.run() for graph in known] for _ in range(rounds)]
    medians = (statistics.median(column) for column in zip(*runs, strict=True))
    return [Timing(g.package, g.name, g.tile, ms) for g, ms in zip(known, medians, strict=True)]


def report(found: Sequence[Timing]) -> str:
    """Markdown, with the sum of each autoencoder's encoder and decoder over the first's."""
    lines = ["| package | graph | tile | ms |", "| --- | --- | --- | --- |"]
    lines += [f"| `{t.package}` | {t.graph} | {t.tile} | {t.milliseconds:.1f} |" for t in found]
    both: dict[str, float] = {}
    for t in found:
        if t.graph in ("encoder", "decoder"):
            both[t.package] = both.get(t.package, 0.0) + t.milliseconds
    first, *others = both.items() or [("", 0.0)]
    for name, ms in others:
        lines += ["", f"Encoder and decoder of `{name}` over those of `{first[0]}`: {ms / first[1]:.1f}."]
    return "\n".join(lines)
