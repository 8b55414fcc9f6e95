"""Measures what the model saves: streams of the `fieldpress` tool with `--fm auto`, `on` and `off` at the same bound.

Fields are the held-out sequences of the corpus (`<cache>/test`), the held-out climate variables, and any `.npy` files
given, at several frame distances. For each field the distance at which averaging begins to fail is fixed by the data
alone, before anything is compressed: the smallest at which the average of a frame's neighbours misses it by more than
`FAILING` of the range.
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

BOUNDS = (1e-2, 4e-3, 1e-3)
DISTANCES = (1, 2, 4, 8)
FAILING = 5e-3
"""NRMSE of the neighbours' average from which on it counts as failing: about the middle one of the bounds."""
MODES = ("off", "auto", "on")
BLOCK_POINTS = 8**3
GIVEN = "given"
"""The kind of files that are named."""
LOSS_ALLOWED = 1.005
"""What the choice may lose against `off`."""


@dataclass(frozen=True)
class Field:
    kind: str
    name: str
    distance: int
    values: np.ndarray
    """`[frames, H, W]`."""
    average_nrmse: float
    """NRMSE of the neighbours' average at distance 1 of these frames."""
    failing: bool
    """The distance at which averaging begins to fail for this field."""


@dataclass(frozen=True)
class Row:
    kind: str
    field: str
    distance: int
    average_nrmse: float
    failing: bool
    bound: float
    raw_bytes: int
    off_bytes: int
    auto_bytes: int
    on_bytes: int
    fm_share: float
    """Share of chunks that used the model with `auto`."""
    auto_way: str

    @property
    def gain(self) -> float:
        return self.off_bytes / self.auto_bytes


def average_nrmse(values: np.ndarray) -> float:
    miss = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(np.sqrt(np.mean(np.square(miss, dtype=np.float64))) / (values.max() - values.min()))


def fields(files: Sequence[tuple[str, Path]], frames: int, size: int, distances: Sequence[int]) -> Iterator[Field]:
    """Central crops of at most `size²`, the first `frames` frames at each distance that has at least nine of them.

    Raises `ValueError` for a file that has none, or values that are not finite."""
    for kind, path in files:
        whole = np.load(path, mmap_mode="r")
        y, x = ((n - min(n, size)) // 2 for n in whole.shape[1:])
        found = []
        for distance in distances:
            values = np.ascontiguousarray(whole[::distance][:frames, y : y + size, x : x + size], dtype=np.float32)
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{path}: every {distance}th frame has values that are NaN or infinite in the central crop"
                )
            if len(values) >= min(frames, 9) and values.max() > values.min():
                found.append((distance, values, average_nrmse(values)))
        if not found and kind == GIVEN:
            raise ValueError(f"{path}: of {len(whole)} frames no distance of {list(distances)} leaves nine that differ")
        first = next((d for d, _, miss in found if miss >= FAILING), None)
        for distance, values, miss in found:
            yield Field(kind, path.stem, distance, values, miss, distance == first)


def spelled(of: str, bound: float, values: np.ndarray) -> str:
    """A bound as the tool takes it: `block_l2` at the error that blocks have on average under that NRMSE."""
    if of == "block_l2":
        value_range = float(values.max()) - float(values.min())
        return f"block_l2={bound * value_range * BLOCK_POINTS**0.5:.9g}"
    return f"{of}={bound:g}"


def compress(
    tool: Path, field: Path, bound: str, mode: str, effort: int, package: Path, folder: Path
) -> dict[str, object]:
    out = folder / "stream.fp"
    command = [tool, "compress", field, "-o", out, "--bound", bound, "--fm", mode, "--model", package]
    command += ["--effort", effort, "--device", "cpu", "--threads", "1", "--json"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    report["bytes"] = out.stat().st_size
    return report


def measure(field: Field, bound: float, config: GainConfig, folder: Path) -> Row:
    path = folder / "field.npy"
    np.save(path, field.values)
    asked = spelled(config.of, bound, field.values)
    found = {m: compress(config.tool, path, asked, m, config.effort, config.package, folder) for m in config.modes}
    size = {mode: int(report["bytes"]) for mode, report in found.items()}
    prediction = found["auto"]["modes"]
    return Row(
        field.kind,
        field.name,
        field.distance,
        round(field.average_nrmse, 6),
        field.failing,
        bound,
        field.values.nbytes,
        size["off"],
        size["auto"],
        size.get("on", 0),
        round(float(found["auto"]["fm_share"]), 3),
        "+".join(sorted(prediction)),
    )


def corpus_files(cache: Path, kinds: Sequence[str] | None, split: str = "test") -> list[tuple[str, Path]]:
    """Sequences of a split of the simulated kinds, and the climate variables that training does not see."""
    found = [(p.parent.name, p) for p in sorted(cache.glob(f"{split}/*/*.npy")) if p.parent.name != "climate"]
    found += [("climate", p) for p in sorted(cache.glob("val/climate/*.npy"))]
    wanted = [(kind, path) for kind, path in found if not kinds or kind in kinds]
    if not wanted:
        raise FileNotFoundError(f"no sequences under {cache / split}; build the corpus first (training.cli corpus)")
    return wanted


def write(rows: Sequence[Row], path: Path) -> None:
    """CSV of every row, whole at any time."""
    part = path.with_suffix(".part")
    with part.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    part.rename(path)


def read(path: Path) -> list[Row]:
    with path.open(newline="") as f:
        return [
            Row(
                r["kind"],
                r["field"],
                int(r["distance"]),
                float(r["average_nrmse"]),
                r["failing"] == "True",
                float(r["bound"]),
                *(int(r[k]) for k in ("raw_bytes", "off_bytes", "auto_bytes", "on_bytes")),
                float(r["fm_share"]),
                r["auto_way"],
            )
            for r in csv.DictReader(f)
        ]


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


@dataclass(frozen=True)
class GainConfig:
    files: list[Path]
    out: Path
    """The CSV; a table in Markdown goes to standard output."""
    tool: Path
    package: Path
    cache: Path
    kinds: list[str] | None = None
    frames: int = 24
    size: int = 128
    distances: tuple[int, ...] = DISTANCES
    bounds: tuple[float, ...] = BOUNDS
    of: str = "nrmse"
    """What they bound: `nrmse`, `rel`, or `block_l2` at the error of an NRMSE."""
    only_failing: bool = False
    modes: tuple[str, ...] = MODES
    effort: int = 1
    split: str = "test"
    """Of the corpus: `val` for whatever is decided by the numbers, so that those of `test` decide nothing."""


def gain(config: GainConfig) -> list[Row]:
    if missing := {"off", "auto"} - set(config.modes):
        raise ValueError(f"the gain is of `auto` over `off`; the modes lack {', '.join(sorted(missing))}")
    files = [(GIVEN, p) for p in config.files] or corpus_files(config.cache, config.kinds, config.split)
    todo = [
        f for f in fields(files, config.frames, config.size, config.distances) if f.failing or not config.only_failing
    ]
    config.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="fieldpress-gain-") as scratch:
        for field in tqdm(todo, desc="gain", disable=None):
            for bound in config.bounds:
                rows.append(measure(field, bound, config, Path(scratch)))
            write(rows, config.out)
    return rows


def label(row: Row) -> str:
    """What a table calls a field: a sequence of the corpus by its variable (`9000_T`: `T`), a given file by its
    name.
    """
    return row.field if row.kind == GIVEN else row.field.split("_")[-1]


def common(rows: Sequence[Row], others: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows whose field, at the same distance, is in every other measurement, and fails there if it does here."""

    def keys(some: Sequence[Row]) -> set[tuple[str, str, int, float, bool]]:
        return {(r.kind, r.field, r.distance, r.bound, r.failing) for r in some}

    shared = keys(rows).intersection(*map(keys, others))
    return [r for r in rows if (r.kind, r.field, r.distance, r.bound, r.failing) in shared]


def table(rows: Sequence[Row]) -> str:
    """Markdown: off over auto and off over on, per field, at the distance where averaging begins to fail and over
    all.
    """
    bounds = sorted({r.bound for r in rows}, reverse=True)
    heads = [f"{b:g}" for b in bounds]
    lines = [
        f"| kind | field | distance | average's NRMSE | {' | '.join(heads)} | always the model: {' | '.join(heads)} |",
        "| --- | --- | --- | --- |" + " --- |" * (2 * len(bounds)),
    ]
    for key in dict.fromkeys((r.kind, r.field, r.distance) for r in rows):
        cells = {r.bound: r for r in rows if (r.kind, r.field, r.distance) == key}
        first = next(iter(cells.values()))
        auto = [f"{cells[b].gain:.3f}" if b in cells else "–" for b in bounds]
        on = [
            f"{cells[b].off_bytes / cells[b].on_bytes:.3f}" if b in cells and cells[b].on_bytes else "–" for b in bounds
        ]
        mark = " *" if first.failing else ""
        lines.append(
            f"| {key[0]} | `{label(first)}` | {key[2]}{mark} | {first.average_nrmse:.2g} | "
            f"{' | '.join(auto)} | {' | '.join(on)} |"
        )
    return "\n".join(lines)


def against(rows: Sequence[Row], other: Sequence[Row]) -> str:
    """Markdown: sizes of each mode over those of another measurement's `auto` and `on`, geometric means over the
    simulated fields that both have, at the distance where averaging begins to fail."""
    known = {(r.kind, r.field, r.distance, r.bound): r for r in other}
    pairs = [(r, known.get((r.kind, r.field, r.distance, r.bound))) for r in rows if r.failing and r.kind != "climate"]
    bounds = sorted({r.bound for r, o in pairs if o}, reverse=True)
    lines = [f"| mode, over the other's | {' | '.join(f'{b:g}' for b in bounds)} |", "| --- |" + " --- |" * len(bounds)]
    for mode in MODES:
        for base in ("auto", "on"):
            means = []
            for bound in bounds:
                sizes = [
                    (getattr(r, f"{mode}_bytes"), getattr(o, f"{base}_bytes"))
                    for r, o in pairs
                    if o and r.bound == bound
                ]
                means.append(geometric_mean([a / b for a, b in sizes if a and b]))
            if not any(np.isnan(means)):
                lines.append(f"| `{mode}`, over `{base}` | {' | '.join(f'{m:.3f}' for m in means)} |")
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Geometric means per kind and over all, and what the choice lost."""
    bounds = sorted({r.bound for r in rows}, reverse=True)
    lines = [
        f"| kind | at the failing distance: {' | '.join(f'{b:g}' for b in bounds)} | all points |",
        "| --- |" + " --- |" * (len(bounds) + 1),
    ]
    kinds = list(dict.fromkeys(r.kind for r in rows))
    coherent = [r for r in rows if r.kind != "climate"]
    for name, part in [*((k, [r for r in rows if r.kind == k]) for k in kinds), ("**simulated kinds**", coherent)]:
        cells = [geometric_mean([r.gain for r in part if r.failing and r.bound == b]) for b in bounds]
        everything = geometric_mean([r.gain for r in part])
        lines.append(f"| {name} | {' | '.join(f'{c:.3f}' for c in cells)} | {everything:.3f} |")
    cells = [geometric_mean([r.gain for r in coherent if r.bound == b]) for b in bounds]
    lines.append(f"| at any distance | {' | '.join(f'{c:.3f}' for c in cells)} | |")
    worst = [r for r in rows if r.auto_bytes > LOSS_ALLOWED * r.off_bytes]
    lines.append("")
    lines.append(f"Points where `auto` is over {LOSS_ALLOWED - 1:.1%} larger than `off`: {len(worst)} of {len(rows)}.")
    for r in worst:
        lines.append(
            f"- {r.kind} `{label(r)}` distance {r.distance}, NRMSE {r.bound:g}: {1 / r.gain - 1:+.2%} ({r.auto_way})"
        )
    return "\n".join(lines)
