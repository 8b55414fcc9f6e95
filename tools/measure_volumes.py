#!/usr/bin/env python3
"""Compares streams of volumes in time with those of SZ3, ZFP and SPERR at the same root mean square error, and writes
docs/benchmarks/volumes.csv and .md:

    tools/measure_volumes.py [--tool target/release/fieldpress] [--out docs/benchmarks] [--size 64]

Needs a release build (`cargo build --release -p fieldpress-cli`), numpy, and hdf5plugin (`pip install hdf5plugin`),
whose filters are the rivals; py-pde (`pip install py-pde`) for the fields of a third party's solver. Every stream is
decoded, and its error measured here. Each rival has the order of axes that suits it best: the array as it is, time
merged into depth, depth merged into time, or step by step. The solvers' seeds are read by nothing else.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
from measure_kinds import RIVALS, apart

TARGETS = (1e-2, 4e-3, 1e-3)
STEPS = 8
DISTANCES = (3, 10, 30)
SEED = 9411
OWN = {
    "time and depth": ("--axes", "0,1,2,3", "--fm", "off"),
    "time": ("--axes", "0,2,3", "--fm", "off"),
    "depth": ("--axes", "1,2,3", "--fm", "off"),
    "without the model": ("--fm", "off"),
    "default": (),
}


def flow(size, distance):
    """A decaying, incompressible flow in a periodic box: a velocity component and the enstrophy, [steps, z, y, x]."""
    n = size
    line = np.fft.fftfreq(n) * n
    k = [line[:, None, None], line[None, :, None], np.arange(n // 2 + 1)[None, None, :]]
    k2 = sum(a * a for a in k)
    safe = np.where(k2 > 0, k2, 1)
    keep = np.ones(k2.shape, bool)
    for a in k:
        keep &= np.abs(a) < n / 3
    chance = np.random.default_rng(SEED)

    def inverse(x):
        return np.fft.irfftn(x, s=(n, n, n), axes=(0, 1, 2))

    def project(s):
        pressure = sum(a * b for a, b in zip(k, s, strict=True)) / safe
        return [(a - b * pressure) * keep for a, b in zip(s, k, strict=True)]

    def curl(s):
        return [1j * (k[(i + 1) % 3] * s[(i + 2) % 3] - k[(i + 2) % 3] * s[(i + 1) % 3]) for i in range(3)]

    def tendency(s):
        u, w = [inverse(x) for x in s], [inverse(x) for x in curl(s)]
        cross = [u[(i + 1) % 3] * w[(i + 2) % 3] - u[(i + 2) % 3] * w[(i + 1) % 3] for i in range(3)]
        return project([np.fft.rfftn(x) for x in cross])

    spectrum = (1 + k2 / 9) ** -1.8 * (k2 > 0)
    state = project([np.fft.rfftn(chance.standard_normal((n, n, n))) * spectrum for _ in range(3)])
    energy = math.sqrt(sum(float(np.mean(inverse(s) ** 2)) for s in state))
    state = [s / energy for s in state]
    dx = 2 * np.pi / n
    dt, viscosity = 0.12 * dx, 0.3 * dx ** (4 / 3)
    whole, half = np.exp(-viscosity * k2 * dt), np.exp(-viscosity * k2 * dt / 2)

    def step(s):
        middle = [(x + dt / 2 * y) * half for x, y in zip(s, tendency(s), strict=True)]
        return [x * whole + dt * y * half for x, y in zip(s, tendency(middle), strict=True)]

    for _ in range(60):
        state = step(state)
    velocity, enstrophy = [], []
    for output in range(STEPS):
        for _ in range(distance if output else 0):
            state = step(state)
        velocity.append(inverse(state[0]))
        enstrophy.append(sum(inverse(x) ** 2 for x in curl(state)))
    return {"velocity": np.array(velocity, "f4"), "enstrophy": np.array(enstrophy, "f4")}


def gray_scott(size, distance):
    """Gray and Scott's reaction and diffusion in a periodic box: the second species."""
    chance = np.random.default_rng(SEED + 1)
    u, v = np.ones((size,) * 3), np.zeros((size,) * 3)
    for _ in range(12):
        z, y, x = chance.integers(0, size - 8, 3)
        u[z : z + 8, y : y + 8, x : x + 8], v[z : z + 8, y : y + 8, x : x + 8] = 0.5, 0.25
    v += 0.01 * chance.random(v.shape)

    def laplace(a):
        return sum(np.roll(a, by, axis) for axis in range(3) for by in (-1, 1)) - 6 * a

    out = []
    for output in range(STEPS):
        for _ in range(10 * distance if output else 600):
            reaction = u * v * v
            u += 0.1 * laplace(u) - reaction + 0.03 * (1 - u)
            v += 0.05 * laplace(v) + reaction - 0.09 * v
        out.append(v.astype("f4"))
    return {"species": np.array(out)}


def cahn_hilliard(size, distance):
    """Cahn and Hilliard's phase separation, by py-pde."""
    import pde

    grid = pde.CartesianGrid([[0, size]] * 3, [size] * 3, periodic=True)
    state = pde.ScalarField.random_uniform(grid, -0.5, 0.5, rng=np.random.default_rng(SEED + 2))
    storage = pde.MemoryStorage()
    equation = pde.CahnHilliardPDE()
    start = 20.0
    apart = distance / 3
    end = start + apart * (STEPS - 0.5)
    state = equation.solve(state, t_range=start, dt=0.01, tracker=None)
    equation.solve(state, t_range=end - start, dt=0.01, tracker=[storage.tracker(apart)])
    return {"concentration": np.array(storage.data[:STEPS], "f4")}


SOLVERS = {"flow": flow, "gray-scott": gray_scott, "cahn-hilliard": cahn_hilliard}


def layouts(values):
    """The orders of axes that a rival is given, as lists of arrays that are coded apart."""
    if values.ndim == 3:
        return {"as it is": [values]}
    t, z, y, x = values.shape
    by_depth = np.ascontiguousarray(values.swapaxes(0, 1))
    return {
        "as it is": [values],
        "time in depth": [values.reshape(t * z, y, x)],
        "depth in time": [by_depth.reshape(z * t, y, x)],
        "step by step": list(values),
    }


def filtered(arrays, name, bound, path):
    """Bytes of a filter's output for arrays, and their summed squared error."""
    size, squares = 0, 0.0
    for values in arrays:
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=values, chunks=values.shape, compression=RIVALS[name](bound))
        with h5py.File(path) as file:
            size += file["x"].id.get_storage_size()
            squares += float(np.square(file["x"][...].astype("f8") - values).sum())
    return size, squares


def searched(arrays, name, target, path):
    """The fewest bytes of a rival whose root mean square error over the range is at most the target."""
    values = np.concatenate([array.ravel() for array in arrays])
    span = float(np.ptp(values))
    low, high = target * 0.1, target * 100
    best = None
    for _ in range(11):
        middle = math.sqrt(low * high)
        size, squares = filtered(arrays, name, middle * span, path)
        if math.sqrt(squares / values.size) <= target * span:
            best = size if best is None else min(best, size)
            low = middle
        else:
            high = middle
    return best


def rival(values, name, target, scratch):
    """Bytes, and the order of axes; `None` where the filter takes no such field."""
    found = {}
    for layout, arrays in layouts(values).items():
        size = apart(searched, arrays, name, target, scratch / "rival.h5")
        if size is not None:
            found[layout] = size
    return min(((size, layout) for layout, size in found.items()), default=(None, ""))


def own(values, tool, target, options, effort, scratch):
    """Bytes of a stream, and the axes that it names."""
    field, stream, out = (scratch / name for name in ("x.npy", "x.fp", "y.npy"))
    np.save(field, values)
    command = [tool, "compress", field, "-o", stream, "--bound", f"nrmse={target!r}", "--effort", str(effort)]
    report = json.loads(
        subprocess.run([*command, *options, "--json"], check=True, capture_output=True, text=True).stdout
    )
    subprocess.run([tool, "decompress", stream, "-o", out], check=True, capture_output=True)
    error = math.sqrt(np.square(np.load(out).astype("f8") - values).mean()) / float(np.ptp(values))
    if error > target:
        raise SystemExit(f"{stream}: an error of {error}, the bound is {target}")
    axes = report["axes"] or list(range(values.ndim - 3, values.ndim))
    return stream.stat().st_size, ",".join(map(str, axes))


def missed(values):
    """What the mean of the neighbours in time misses a step by, over the range."""
    between = (values[:-2].astype("f8") + values[2:]) / 2 - values[1:-1]
    return math.sqrt(np.square(between).mean()) / float(np.ptp(values))


def fields(size):
    """Name, array, and what the mean of neighbours misses."""
    for solver, generate in SOLVERS.items():
        for distance in DISTANCES:
            try:
                made = generate(size, distance)
            except ImportError as error:
                print(f"{solver} is left out: {error}")
                break
            for name, values in made.items():
                yield f"{solver} {name}, every {distance}", values, missed(values)
                if distance == DISTANCES[0]:
                    yield f"{solver} {name}, one step", values[0], math.nan


def measured(name, values, miss, target, arguments, scratch):
    """A row of the table."""
    row = {"field": name, "shape": "x".join(map(str, values.shape)), "missed": miss, "nrmse": target}
    for way, options in OWN.items():
        if values.ndim == 4 or "--axes" not in options:
            row[way], axes = own(values, arguments.tool, target, options, arguments.effort, scratch)
            if way == "default":
                row["axes"] = axes
    for other in RIVALS:
        row[other], row[f"{other} order"] = rival(values, other, target, scratch)
    print(row, flush=True)
    return row


def mean(numbers):
    """The geometric one; NaN of none."""
    numbers = [number for number in numbers if number]
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else math.nan


def summary(rows):
    """Lines of the page: ratios of bytes over the default's, geometric means."""
    yield "| fields | NRMSE | " + " | ".join(["better of time, depth", "without the model", *RIVALS]) + " |"
    yield "| --- |" + " --- |" * (3 + len(RIVALS))
    groups = {
        "mean of neighbours misses by less than 0.01": [row for row in rows if row["missed"] < 0.01],
        "misses by more": [row for row in rows if row["missed"] >= 0.01],
        "one step": [row for row in rows if math.isnan(row["missed"])],
    }
    for group, members in groups.items():
        for target in TARGETS:
            of = [row for row in members if row["nrmse"] == target]
            before = [min(row["time"], row["depth"]) / row["default"] for row in of if row.get("time")]
            others = ("without the model", *RIVALS)
            cells = [mean(before), *(mean([(row[way] or 0) / row["default"] for row in of]) for way in others)]
            yield f"| {group} | {target:g} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default="target/release/fieldpress", type=Path)
    parser.add_argument("--out", default="docs/benchmarks", type=Path)
    parser.add_argument("--size", default=64, type=int, help="points along each side")
    parser.add_argument("--effort", default=1, type=int)
    arguments = parser.parse_args()
    os.environ.setdefault("ORT_DYLIB_PATH", str(Path(".onnxruntime/libonnxruntime.so").resolve()))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, values, miss in fields(arguments.size):
            for target in TARGETS:
                rows.append(measured(name, values, miss, target, arguments, Path(folder)))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(arguments.out / "volumes.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    lines = {"summary": "\n".join(summary(rows)), "rows": "\n".join(table(rows))}
    (arguments.out / "volumes.md").write_text(PAGE.format(size=arguments.size, effort=arguments.effort, **lines))


def table(rows):
    """Lines of the page: bytes of every field."""
    ways = [*OWN, *RIVALS]
    yield "| field | missed | NRMSE | " + " | ".join(ways) + " | axes |"
    yield "| --- | ---: | ---: |" + " ---: |" * len(ways) + " --- |"
    for row in rows:
        cells = [f"{row[way]:,}" if row.get(way) else "–" for way in ways]
        miss = "–" if math.isnan(row["missed"]) else f"{row['missed']:.4f}"
        yield f"| {row['field']} | {miss} | {row['nrmse']:g} | " + " | ".join(cells) + f" | {row['axes']} |"


PAGE = """# Volumes in time

Bytes at equal root mean square error of volumes of {size}³ in windows of 8 outputs, at three distances in time, and of one
step alone; effort {effort}. Written by one run of

```sh
tools/measure_volumes.py
```

The fields: a decaying three-dimensional flow (velocity, enstrophy) and Gray and Scott's reaction and diffusion, by the
script's own solvers, with seeds that nothing else reads; Cahn and Hilliard's phase separation by py-pde. *Missed* is the
root mean square by which the mean of its neighbours in time misses a step, over the range. Rivals have the order of axes
that suits them best (volumes.csv names it) and the tolerance that just meets the error.

Bytes over those of the default, geometric means:

{summary}

Bytes:

{rows}
"""


if __name__ == "__main__":
    main()
