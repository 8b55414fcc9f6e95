"""Pairs for the enhancer: crops of the corpus, coded and decoded by the real tool, at random bounds.

A pair is three small files: the decoded frames, the error over its root mean square (f16), and what is known of both
(JSON).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.sampling import PERIODIC, Array, Corpus, Sequence, crop

FRAMES = 24
SIZE = 256
"""Largest side of training crops; the validation's are of `VALIDATION_SIZE`."""
VALIDATION_SIZE = 192
BOUNDS = (1e-3, 2e-2)
"""NRMSE, drawn evenly in the logarithm."""
MAX_DISTANCE = 8
"""Largest frame distance drawn, in saved frames."""
WEIGHTS = {"weather": 3.0}
"""Shares of kinds in the draws: fields over fixed ground are several kinds in one."""
VALIDATION_BOUNDS = (1e-2, 4e-3, 1e-3)
VALIDATION_DISTANCES = (4, 8)


@dataclass(frozen=True)
class Pair:
    kind: str
    name: str
    bound: float
    sigma: float
    """Root mean square error of the decoded frames."""
    stem: Path

    @cached_property
    def decoded(self) -> Array:
        return np.load(self.stem.with_suffix(".decoded.npy"), mmap_mode="r")

    @cached_property
    def error(self) -> Array:
        """What the decoded frames lack, over `sigma`."""
        return np.load(self.stem.with_suffix(".error.npy"), mmap_mode="r")


def code(tool: Path, frames: Array, bound: float, scratch: Path, predictor: Path | None = None) -> Array:
    """What the tool makes of `frames` at an NRMSE, with a package that may only predict, if any."""
    field, stream, out = (scratch / name for name in ("field.npy", "stream.fp", "out.npy"))
    np.save(field, frames)
    tool = tool.resolve()
    model = ["--model", predictor.resolve(), "--device", "cpu"] if predictor else []
    compress = [tool, "compress", field, "-o", stream, "--bound", f"nrmse={bound:g}", *(model or ["--fm", "off"])]
    for command in (compress, [tool, "decompress", stream, "-o", out, *model]):
        command += ["--threads", "1"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return np.load(out)


def save(stem: Path, sequence: Sequence, frames: Array, decoded: Array, bound: float) -> None:
    error = frames - decoded
    sigma = float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))
    if sigma == 0 or not np.isfinite(sigma):
        return
    np.save(stem.with_suffix(".decoded.npy"), decoded.astype(np.float32))
    np.save(stem.with_suffix(".error.npy"), (error / sigma).astype(np.float16))
    known = {"kind": sequence.kind, "name": sequence.path.stem, "bound": bound, "sigma": sigma}
    stem.with_suffix(".json").write_text(json.dumps(known))


def drawn(
    corpus: Corpus, seed: int, index: int, written: tuple[int, ...] | None = None
) -> tuple[Sequence, Array, float]:
    """A random crop at a random frame distance, of those `written` where given, and a random bound."""
    rng = np.random.default_rng([seed, index])
    sequence = corpus.draw(rng)
    count = len(sequence.frames)
    distance = int(rng.choice(written)) if written else int(np.exp(rng.uniform(0, np.log(MAX_DISTANCE + 0.999))))
    distance = max(1, min(distance, (count - 1) // 8))
    length = min(FRAMES, (count - 1) // distance + 1)
    first = int(rng.integers(count - (length - 1) * distance))
    times = [first + k * distance for k in range(length)]
    size = SIZE if sequence.kind in PERIODIC else min(SIZE, *sequence.frames.shape[1:])
    frames = crop(sequence, times, size, rng)
    if rng.random() < 0.5:
        frames = np.ascontiguousarray(frames[::-1])
    return sequence, frames, float(np.exp(rng.uniform(*np.log(BOUNDS))))


def fixed(corpus: Corpus) -> Iterator[tuple[Sequence, Array, float]]:
    """The central crop of every sequence, at fixed distances and bounds."""
    for _, sequences in sorted(corpus.sequences.items()):
        for sequence in sequences:
            for distance in VALIDATION_DISTANCES if len(sequence.frames) > 2 * FRAMES else (1,):
                y, x = ((n - min(n, VALIDATION_SIZE)) // 2 for n in sequence.frames.shape[1:])
                frames = sequence.frames[::distance][:FRAMES, y : y + VALIDATION_SIZE, x : x + VALIDATION_SIZE]
                for bound in VALIDATION_BOUNDS:
                    yield sequence, np.ascontiguousarray(frames, dtype=np.float32), bound


def make(
    cache: Path,
    out: Path,
    tool: Path,
    count: int,
    seed: int = 11,
    written: tuple[int, ...] | None = None,
    predictor: Path | None = None,
) -> None:
    """Writes `count` training pairs to `out/train`, and all of validation, if any, to `out/val`; what is there already
    stays.

    `written` are the frame distances to draw; all up to `MAX_DISTANCE` unless given. Every second pair is coded with
    the package `predictor`, which has no enhancer: what an interpolator's prediction leaves has errors of its own."""
    train = Corpus(cache / "train", WEIGHTS)
    val = list(fixed(Corpus(cache / "val"))) if (cache / "val").exists() else []
    jobs = [("train", index) for index in range(count)]
    for split in ("train", "val") if val else ("train",):
        (out / split).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fieldpress-pairs-") as scratch:

        def write(split: str, index: int, made: tuple[Sequence, Array, float], predictor: Path | None = None) -> None:
            sequence, frames, bound = made
            if frames.max() > frames.min():
                decoded = code(tool, frames, bound, Path(scratch), predictor)
                save(out / split / f"{index:05d}", sequence, frames, decoded, bound)

        for split, index in tqdm(jobs, desc="pairs", disable=None):
            if not (out / split / f"{index:05d}.json").exists():
                write(split, index, drawn(train, seed, index, written), predictor if index % 2 else None)
        for index, made in enumerate(val):
            if not (out / "val" / f"{index:05d}.json").exists():
                write("val", index, made)


def load(folder: Path) -> dict[str, list[Pair]]:
    """The pairs of a folder by kind."""
    out: dict[str, list[Pair]] = {}
    for path in sorted(folder.glob("*.json")):
        pair = Pair(**json.loads(path.read_text()), stem=path.with_suffix(""))
        out.setdefault(pair.kind, []).append(pair)
    if not out:
        raise FileNotFoundError(f"no pairs under {folder}; make them first (training.cli pairs)")
    return out
