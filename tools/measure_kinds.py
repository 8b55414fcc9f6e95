#!/usr/bin/env python3
"""Compares streams of data that are not smooth with those of SZ3, ZFP and SPERR at the same bound on every point, and
writes docs/benchmarks/kinds.csv and .md:

    tools/measure_kinds.py [--tool target/release/fieldpress] [--out docs/benchmarks]

Needs a release build (`cargo build --release -p fieldpress-cli`), numpy, and hdf5plugin (`pip install hdf5plugin`),
whose filters are the rivals. Every stream is decoded, and its largest error compared with the bound.
"""

import argparse
import csv
import json
import multiprocessing
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

BOUNDS = ("1e-2", "1e-3", "1e-4", "1e-5")
EFFORTS = (0, 1, 2)
RIVALS = {
    "SZ3": lambda bound: hdf5plugin.SZ3(absolute=bound),
    "ZFP": lambda bound: hdf5plugin.Zfp(accuracy=bound),
    # Told to swap the order of axes: without that its filter takes rows of an array in C order for frames.
    "SPERR": lambda bound: hdf5plugin.Sperr(absolute=bound, swap=True),
}
HPEZ = {
    "shock": ("107.9", "44.43", "24.8", ""),
    "density": ("149", "27.55", "9.285", ""),
    "cloud": ("166.4", "63.34", "34.35", ""),
    "stations": ("63.72", "19.2", "6.77", ""),
    "positions": ("1.212e+04", "1.226e+04", "48.7", ""),
}
"""Ratios of HPEZ (level 4) at these bounds, which this script does not run."""


def gaussian(shape, slope, seed):
    """A random field with the power spectrum k^-slope and unit deviation; float64."""
    spectrum = np.fft.rfftn(np.random.default_rng(seed).standard_normal(shape))
    axes = [np.fft.fftfreq(n) * n for n in shape[:-1]] + [np.fft.rfftfreq(shape[-1]) * shape[-1]]
    squares = (np.square(k).reshape([-1 if i == j else 1 for j in range(len(shape))]) for i, k in enumerate(axes))
    power = sum(squares)
    power[(0,) * len(shape)] = 1
    spectrum = spectrum * power ** (-slope / 4)
    spectrum[(0,) * len(shape)] = 0
    values = np.fft.irfftn(spectrum, s=shape, axes=tuple(range(len(shape))))
    return values / values.std()


def random_field(shape, slope, seed):
    return gaussian(shape, slope, seed).astype("f4")


def shock():
    """Two blast waves that meet, 24 frames of 256²."""
    y, x = np.mgrid[0:256, 0:256] / 256
    frames = []
    for t in range(24):
        frame = 1 + 0.02 * np.sin(7 * x + 5 * y + 0.2 * t)
        for cx, cy, speed, strength in ((0.3, 0.35, 0.012, 3.0), (0.75, 0.6, 0.017, 2.0)):
            r, front = np.hypot(x - cx, (y - cy) * 0.9), 0.05 + speed * t
            frame += np.where(r < front, strength * (0.15 + 0.85 * (r / front) ** 5), 0)
        frames.append(frame)
    return np.array(frames, "f4")


def density():
    """A log-normal density, 96³."""
    return np.exp(2.0 * random_field((96, 96, 96), 3.0, 21)).astype("f4")


def cloud():
    """Water content: zero almost everywhere, with smooth blobs, 24 frames of 160²."""
    return (np.maximum(random_field((24, 160, 160), 3.8, 22) - 1.6, 0) ** 2 * 2e-3).astype("f4")


def stations():
    """A long record of eight instruments, 30,000 × 8."""
    steps = np.random.default_rng(23).standard_normal((30000, 8)) * 0.02
    return (np.cumsum(steps, 0) + np.arange(8) * 25).astype("f4")


def positions():
    """A coordinate of 2^19 particles in order of their cells."""
    within = np.random.default_rng(24).uniform(0, 1 / 64, 1 << 19)
    return (np.repeat(np.arange(1 << 13), 64) / 64 + within).astype("f4")


def spikes():
    """2,000 spikes in zeros, 32 frames of 128²."""
    chance = np.random.default_rng(2)
    values = np.zeros((32, 128, 128), "f4")
    values.ravel()[chance.integers(0, values.size, 2000)] = chance.exponential(1, 2000)
    return values


def counts():
    """Poisson counts of mean 3, 32 frames of 96²."""
    return np.random.default_rng(3).poisson(3, (32, 96, 96)).astype("f4")


def labels():
    """Whole numbers of a smooth field, 16 frames of 128²."""
    return np.floor(random_field((16, 128, 128), 4, 5) * 3).astype("f4")


def stairs():
    """A smooth field in steps of a twentieth, 24 frames of 96²."""
    return (np.floor(random_field((24, 96, 96), 4, 9) * 20) / 20).astype("f4")


def square_wave():
    """64 zeros, 64 ones, and so on, 2^18 values."""
    return (np.arange(1 << 18) // 64 % 2).astype("f4")


def repeats():
    """The same 60,000 random values sixteen times."""
    return np.tile(np.random.default_rng(8).standard_normal(60000).astype("f4"), (16, 1))


def blocks():
    """Random values in blocks of 4 × 8 × 8, 32 frames of 96²."""
    return np.kron(np.random.default_rng(4).standard_normal((8, 12, 12)), np.ones((4, 8, 8))).astype("f4")


def mask():
    """Zeros and ones, 24 frames of 128²."""
    return (random_field((24, 128, 128), 3.5, 12) > 0.5).astype("f4")


KINDS = (shock, density, cloud, stations, positions, spikes, counts, labels, stairs, square_wave, repeats, blocks, mask)


def filtered(values, name, bound, path):
    """Bytes of a filter's output; `None` where it misses the bound."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=values, chunks=values.shape, compression=RIVALS[name](bound))
    with h5py.File(path) as file:
        size, decoded = file["x"].id.get_storage_size(), file["x"][...]
    return size if largest(values, decoded) <= bound else None


def apart(function, *arguments):
    """What a function that uses filters returns; `None` where they take no such field. Some end their process then."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except (BrokenProcessPool, OSError, RuntimeError, ValueError):
            return None


def rival(values, name, bound, scratch):
    """Bytes of a filter's output; `None`, too, where the filter takes no such field."""
    return apart(filtered, values, name, bound, scratch / "rival.h5")


def ours(values, tool, bound, effort, scratch):
    """Bytes of a stream and its modes."""
    field, stream, out = (scratch / name for name in ("x.npy", "x.fp", "y.npy"))
    np.save(field, values)
    command = [tool, "compress", field, "-o", stream, "--bound", f"abs={bound!r}", "--effort", str(effort)]
    report = subprocess.run([*command, "--fm", "off", "--json"], check=True, capture_output=True, text=True)
    subprocess.run([tool, "decompress", stream, "-o", out], check=True, capture_output=True)
    error = largest(values, np.load(out))
    if error > bound:
        raise SystemExit(f"{stream}: an error of {error}, the bound is {bound}")
    modes = sorted({mode.split(":")[0] for mode in json.loads(report.stdout)["modes"]})
    return stream.stat().st_size, " ".join(modes)


def largest(values, decoded):
    return float(np.abs(values.astype("f8") - decoded.astype("f8")).max())


def measure(tool, scratch):
    for kind in KINDS:
        values = kind()
        for place, text in enumerate(BOUNDS):
            bound = float(text) * float(np.ptp(values.astype("f8")))
            row = {"kind": kind.__name__, "rel": text, "bytes": values.nbytes}
            row |= {name: rival(values, name, bound, scratch) for name in RIVALS}
            row["HPEZ_ratio"] = HPEZ.get(kind.__name__, [""] * len(BOUNDS))[place]
            for effort in EFFORTS:
                row[f"effort_{effort}"], row[f"mode_{effort}"] = ours(values, tool, bound, effort, scratch)
            print(row, flush=True)
            yield row


def ratio(row, name):
    return "–" if not row[name] else f"{row['bytes'] / row[name]:,.4g}"


def table(rows):
    names = [*RIVALS, *(f"effort_{effort}" for effort in EFFORTS)]
    titles = [*RIVALS, "HPEZ", *(f"effort {effort}" for effort in EFFORTS), "mode at effort 1"]
    yield f"| field | rel | {' | '.join(titles)} |"
    yield "| --- | --- |" + " --- |" * len(titles)
    for row in rows:
        cells = [ratio(row, name) for name in names]
        cells.insert(len(RIVALS), row["HPEZ_ratio"] and f"{float(row['HPEZ_ratio']):,.4g}" or "–")
        yield f"| {row['kind'].replace('_', ' ')} | {row['rel']} | {' | '.join(cells)} | {row['mode_1']} |"


MARK = "<!-- measured -->"


def publish(description, name, title, measure, table):
    """Measures as the command line says, and writes NAME.csv and the table of NAME.md, which stands below a mark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=Path, default=Path("target/release/fieldpress"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = list(measure(arguments.tool.absolute(), Path(scratch)))
    with open(arguments.out / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    path = arguments.out / f"{name}.md"
    text = path.read_text() if path.exists() else f"# {title}\n\n{MARK}\n"
    path.write_text(text.split(MARK)[0] + MARK + "\n" + "\n".join(table(rows)) + "\n")


if __name__ == "__main__":
    publish(__doc__, "kinds", "Kinds of data", measure, table)
