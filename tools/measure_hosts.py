#!/usr/bin/env python3
"""Measures what the hosts cost, and writes docs/benchmarks/hosts.csv and the tables of docs/benchmarks/hosts.md:

    cmake --build build && .venv/bin/python tools/measure_hosts.py

Gray-Scott through ADIOS2, with the operator and without, each setting several times in turn, and the operator beside
the bare C call. Times are the median's; only their ratios to the uncompressed write of the same run carry over.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
OUT = ROOT / "docs/benchmarks"
BOUNDS = ["1e-2", "1e-3", "1e-4"]
EFFORTS = ["0", "1"]
WINDOWS = ["1", "8"]
SPACINGS = ["2", "20"]
REPEATS = 3


def run(**settings: str) -> dict[str, float]:
    """One run of the example; its last line is what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(BUILD / "examples/gray_scott"), "out.bp", "size=64", "outputs=16"]
        command += [f"{name}={value}" for name, value in settings.items()]
        environment = os.environ | {"ADIOS2_PLUGIN_PATH": str(BUILD / "plugins/adios2")}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def gray_scott() -> list[dict[str, str]]:
    settings = [
        {"steps": steps, "window": window, "accuracy": accuracy, "effort": effort}
        for steps in SPACINGS
        for window in WINDOWS
        for accuracy, effort in [("0", "0"), *((bound, effort) for bound in BOUNDS for effort in EFFORTS)]
    ]
    runs: list[list[dict[str, float]]] = [[] for _ in settings]
    for repeat in range(REPEATS):
        for index, setting in enumerate(settings):
            runs[index].append(run(**setting))
            print(f"\r{repeat + 1}/{REPEATS} {index + 1}/{len(settings)}  ", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = []
    for setting, results in zip(settings, runs, strict=True):
        write = statistics.median(result["write_seconds"] for result in results)
        solver = statistics.median(result["solver_seconds"] for result in results)
        # ADIOS2's metadata has a few bytes more or less from run to run; streams must not.
        size = [int(result["bytes"]) for result in results]
        if max(size) - min(size) > 200:
            raise SystemExit(f"{setting}: the same field gave {sorted(size)} bytes")
        row = setting | {"write_seconds": f"{write:.4f}", "solver_seconds": f"{solver:.4f}", "bytes": f"{max(size)}"}
        rows.append(row | {"ratio": f"{results[0]['ratio']:.2f}"})
    return rows


def table(rows: list[dict[str, str]]) -> str:
    """Markdown: one row for a bound, effort and window; times beside those of the uncompressed write of the same
    window.
    """
    lines = []
    for steps in SPACINGS:
        lines += [f"Outputs every {steps} solver steps:", ""]
        lines += ["| bound on V | effort | one `Put` is | bytes on disk | smaller by | write, s | write over uncompressed | step |"]
        lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
        for window in WINDOWS:
            chosen = [row for row in rows if row["steps"] == steps and row["window"] == window]
            unit = "one output" if window == "1" else f"{window} outputs"
            (alone,) = (row for row in chosen if row["accuracy"] == "0")
            base = float(alone["write_seconds"])
            # The solver does the same in every run; its time in one of them only adds noise.
            solver = float(alone["solver_seconds"])
            for row in chosen:
                bound, effort = ("none (ADIOS2 alone)", "–") if row is alone else (row["accuracy"], row["effort"])
                seconds = float(row["write_seconds"])
                size = f"{int(row['bytes']):,} | {float(row['ratio']):.1f} ×"
                times = f"{seconds:.3f} | {seconds / base:.1f} × | {(solver + seconds) / (solver + base):.2f} ×"
                lines += [f"| {bound} | {effort} | {unit} | {size} | {times} |"]
        lines += [""]
    return "\n".join(lines)


def main() -> None:
    rows = gray_scott()
    with (OUT / "hosts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command = [BUILD / "tests/hosts/test_adios2_interface", BUILD / "plugins/adios2/libfieldpress_adios2.so"]
    overhead = subprocess.run([*command, "measure"], capture_output=True, text=True, check=True).stdout
    memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    path = OUT / "hosts.md"
    before, _, rest = path.read_text().partition("<!-- measured -->\n")
    _, _, after = rest.partition("<!-- end -->\n")
    measured = f"{table(rows)}\n```\n{overhead}{memory}```\n"
    path.write_text(f"{before}<!-- measured -->\n{measured}<!-- end -->\n{after}")


if __name__ == "__main__":
    main()
