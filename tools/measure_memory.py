#!/usr/bin/env python3
"""Measures the tool's peak memory on fields of more and more windows, and writes docs/benchmarks/memory.csv and .md:

    tools/measure_memory.py [--data data] [--out docs/benchmarks]

Needs a release build (`cargo build --release`), the fields of tools/fetch-data, ONNX Runtime (see the README) and
numpy. A field's frames are repeated forwards and backwards in time, so that longer ones are no rougher than the first.
"""

import argparse
import csv
import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

FIELDS = {"TS": (96, 192, 288), "turb_w_8": (24, 256, 256)}
LENGTHS = (96, 192, 384, 768)
BOUND = "nrmse=4e-3"
OPTIONS = {
    "effort 0": ["--effort", "0"],
    "effort 1, no model": ["--effort", "1", "--fm", "off"],
    "effort 1": ["--effort", "1"],
    "effort 1, the model always": ["--effort", "1", "--fm", "on"],
}
FIELD_FACTOR, MODEL_MB = 4, 300
"""The promise: at most so many times the field, and so much for the model."""


def peak(command):
    """Peak resident memory of a command, in MB; its output must be a success."""
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {errors.strip()}")
    return usage.ru_maxrss / 1024


def make(source, dims, count, out):
    """A field of `count` frames that run through those of `source` forwards and backwards."""
    values = np.fromfile(source, "<f4").reshape(dims)
    cycle = np.concatenate([values, values[::-1]])
    np.save(out, np.concatenate([cycle] * -(-count // len(cycle)))[:count])


def measure(tool, data, scratch):
    empty = peak([tool, "--version"])
    # A process that starts another hands it its own peak, so large arrays are left to others.
    others = multiprocessing.get_context("spawn")
    for name, dims in FIELDS.items():
        for length in LENGTHS:
            path, stream, out = (scratch / n for n in ("field.npy", "field.fp", "out.npy"))
            maker = others.Process(target=make, args=(data / f"{name}.f32", dims, length, path))
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit(f"cannot make a field from {name}")
            field = length * dims[1] * dims[2] * 4 / 2**20
            for label, options in OPTIONS.items():
                if length > LENGTHS[1] and label.endswith("always"):
                    continue
                shared = ["--threads", "1", "--device", "cpu"]
                up = peak([tool, "compress", path, "-o", stream, "--bound", BOUND, *options, *shared])
                down = peak([tool, "decompress", stream, "-o", out, *shared])
                size = stream.stat().st_size / 2**20
                yield {
                    "field": name,
                    "frames": length,
                    "field_mb": round(field, 1),
                    "options": label,
                    "compress_mb": round(up, 1),
                    "decompress_mb": round(down, 1),
                    "compress_beyond_mb": round(up - field - size - empty, 1),
                    "decompress_beyond_mb": round(down - field - size - empty, 1),
                }


def table(rows):
    lines = [
        "| field | frames | field | options | compress: peak | beyond field and stream | decompress: peak | beyond |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        lines.append(
            f"| `{r['field']}` | {r['frames']} | {r['field_mb']:.0f} | {r['options']} | {r['compress_mb']:.0f} | "
            f"{r['compress_beyond_mb']:.0f} | {r['decompress_mb']:.0f} | {r['decompress_beyond_mb']:.0f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--tool", type=Path, default=Path("target/release/fieldpress"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fieldpress-memory-") as scratch:
        rows = list(measure(args.tool, args.data, Path(scratch)))
    with (args.out / "memory.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    broken = [r for r in rows if max(r["compress_mb"], r["decompress_mb"]) > FIELD_FACTOR * r["field_mb"] + MODEL_MB]
    text = f"""# Peak memory

Peak resident memory of the command-line tool in MiB, one thread, at {BOUND}: the field and the stream are in memory whole,
and beyond them is what the codec works in, with the model and ONNX Runtime where they are used (the bare program,
`fieldpress --version`, is taken off). Frames are repeated forwards and backwards for the longer fields. Written by
`tools/measure_memory.py`.

The promise is at most {FIELD_FACTOR} times the field + {MODEL_MB} MB, and working memory that does not grow with the number of
windows; rows that break the first: {len(broken)}.

{table(rows)}
"""
    (args.out / "memory.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
