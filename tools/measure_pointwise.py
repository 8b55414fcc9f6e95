#!/usr/bin/env python3
"""Compares streams under a bound relative at each point with those of others, and writes
docs/benchmarks/pointwise-relative.csv and .md:

    tools/measure_pointwise.py [--tool target/release/fieldpress] [--out docs/benchmarks]

Needs a release build (`cargo build --release -p fieldpress-cli`), the fields of `tools/fetch-data`, and `pip install
numpy h5py hdf5plugin numcodecs`. Every stream is decoded, and each point compared with the bound.
"""

import json
import subprocess
from pathlib import Path

import h5py
import hdf5plugin
import numcodecs
import numpy as np
from measure_kinds import apart, gaussian, publish

BOUNDS = ("1e-1", "1e-2", "1e-3", "1e-4", "1e-5")
EFFORTS = (0, 1)
DATA = Path("data")


def climate(name, shape):
    """A field of tools/fetch-data."""
    return np.fromfile(DATA / f"{name}.f32", "<f4").reshape(shape)


FIELDS = {
    # Of one sign: temperature, and mass over eight and over sixty orders of magnitude.
    "temperature": lambda: climate("TS", (96, 192, 288)),
    "density": lambda: np.exp(2.5 * gaussian((24, 192, 192), 4.5, 3)).astype("f4"),
    "tracer": lambda: np.exp(20 * gaussian((24, 128, 128), 5.5, 4)),
    # With zeros.
    "rain": lambda: climate("PRECT", (56, 192, 288)),
    "cloud": lambda: climate("CLOUD", (3, 30, 192, 288)),
    # Of both signs.
    "wind": lambda: climate("UWND", (132, 73, 144)),
    "turbulence": lambda: climate("turb_u_8", (24, 256, 256)),
}


def largest(values, decoded):
    """The largest error over the point's own size; infinite where a zero or a sign changed."""
    x, y = values.astype("f8"), decoded.astype("f8")
    kept = np.sign(x) == np.sign(y)
    with np.errstate(all="ignore"):
        return float(np.max(np.where(kept, np.where(x == y, 0, np.abs(x - y) / np.abs(x)), np.inf)))


def sz2(values, bound, path):
    with h5py.File(path, "w") as file:
        filters = hdf5plugin.SZ(pointwise_relative=bound)
        file.create_dataset("x", data=values, chunks=values.shape, **filters)
        stored = file["x"].id.get_storage_size()
    with h5py.File(path) as file:
        return stored, largest(values, file["x"][:])


def rounded(values, bound, path):
    """Rounding to the fewest bits that keep the bound, and the best of zstd's levels and shuffles that is usual."""
    keep = next(bits for bits in range(1, 52) if 2.0 ** -(bits + 1) <= bound)
    codec, blosc = numcodecs.BitRound(keep), numcodecs.Blosc("zstd", 9, numcodecs.Blosc.BITSHUFFLE)
    whole = codec.encode(values.copy())
    parts = np.array_split(np.asarray(whole).reshape(-1), max(1, values.nbytes >> 30))
    stored = sum(len(blosc.encode(np.ascontiguousarray(part))) for part in parts)
    return stored, largest(values, codec.decode(whole).reshape(values.shape))


def exact(values, bound, path):
    """Without loss, by this package's own lossless coder's rival: zstd behind a shuffle of bits."""
    blosc = numcodecs.Blosc("zstd", 9, numcodecs.Blosc.BITSHUFFLE)
    return len(blosc.encode(np.ascontiguousarray(values))), 0.0


RIVALS = {"SZ2": sz2, "BitRound + zstd": rounded, "zstd, lossless": exact}


def rival(function, values, bound, scratch):
    """Bytes of another's output; none where it crashes, refuses, or misses the bound: filters are run apart."""
    found = apart(function, values, bound, scratch / "rival.h5")
    if found is None:
        return None, "fails"
    stored, error = found
    return (stored, "") if error <= bound else (None, "misses")


def ours(values, tool, bound, effort, scratch):
    """Bytes of a stream, and of its signs; `verify` says that the bound holds, and so does this."""
    field, stream, out = (scratch / name for name in ("x.npy", "x.fp", "y.npy"))
    np.save(field, values)
    command = [tool, "compress", field, "-o", stream, "--bound", f"pw_rel={bound!r}", "--effort", str(effort)]
    report = subprocess.run([*command, "--fm", "off", "--json"], check=True, capture_output=True, text=True)
    subprocess.run([tool, "decompress", stream, "-o", out], check=True, capture_output=True)
    error = largest(values, np.load(out))
    if error > bound:
        raise SystemExit(f"{stream}: an error of {error}, the bound is {bound}")
    said = json.loads(report.stdout)
    modes = sorted({mode.split(":")[0] for mode in said["modes"]})
    return stream.stat().st_size, said["sections"]["mask"], " ".join(modes)


def measure(tool, scratch):
    for name, make in FIELDS.items():
        values = np.ascontiguousarray(make())
        for text in BOUNDS:
            bound = float(text)
            row = {"field": name, "type": values.dtype.name, "pw_rel": text, "bytes": values.nbytes}
            for other, function in RIVALS.items():
                row[other], row[f"{other} note"] = rival(function, values, bound, scratch)
            for effort in EFFORTS:
                done = ours(values, tool, bound, effort, scratch)
                row[f"effort_{effort}"], row[f"mask_{effort}"], row[f"mode_{effort}"] = done
            print(row, flush=True)
            yield row


def ratio(row, name):
    return row[f"{name} note"] if not row[name] else f"{row['bytes'] / row[name]:,.4g}"


def table(rows):
    yield f"| field | pw_rel | {' | '.join(RIVALS)} | effort 0 | effort 1 | of it masks and signs | mode |"
    yield "| --- | --- |" + " --- |" * (len(RIVALS) + 4)
    for row in rows:
        cells = [ratio(row, name) for name in RIVALS]
        cells += [f"{row['bytes'] / row[f'effort_{effort}']:,.4g}" for effort in EFFORTS]
        share = f"{100 * row['mask_1'] / row['effort_1']:.0f} %"
        yield f"| {row['field']}, {row['type']} | {row['pw_rel']} | {' | '.join(cells)} | {share} | {row['mode_1']} |"


if __name__ == "__main__":
    publish(__doc__, "pointwise-relative", "Bounds relative at each point", measure, table)
