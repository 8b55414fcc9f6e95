"""Draws docs/scaling/scaling.png from the tables that tools/measure-scaling writes, and prints the shares."""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PARTS = [("local_mean", "rank-local (compression)", "#4477aa"), ("wait_mean", "waiting", "#ccbb44"), ("collective_mean", "collective", "#ee6677")]

TITLES = [
    ("weak, disk", "weak, disk: 64³ doubles on each rank"),
    ("weak, memory", "weak, in memory"),
    ("strong, disk", "strong, disk: 128³ doubles on all"),
]


def medians(folder: Path) -> dict[str, dict[int, dict[str, float]]]:
    """For each storage and kind and number of ranks the median over steps, the first left out, of every column. Where
    steps are committed by the window, the mean: most steps cost nothing then."""
    rows = defaultdict(list)
    with (folder / "scaling.csv").open() as file:
        for row in csv.DictReader(file):
            if int(row["step"]) > 0:
                rows[f"{row['kind']}, {row['storage']}", int(row["ranks"])].append(row)
    out: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for (kind, ranks), group in rows.items():
        columns = [name for name in group[0] if name not in ("storage", "kind", "domain")]
        if kind.startswith("weak-window"):
            middle = {name: sum(float(row[name]) for row in group) / len(group) for name in columns}
        else:
            middle = {name: sorted(float(row[name]) for row in group)[len(group) // 2] for name in columns}
        out[kind][ranks] = middle
    return out


def main(folder: Path) -> None:
    found = medians(folder)
    # Room below for one legend that covers no bar.
    figure, axes = plt.subplots(1, 4, figsize=(17, 4.4), layout="constrained")
    for axis, (kind, title) in zip(axes, TITLES, strict=False):
        ranks = sorted(found[kind])
        bottom = [0.0] * len(ranks)
        for column, label, colour in PARTS:
            heights = [found[kind][n][column] for n in ranks]
            axis.bar([str(n) for n in ranks], heights, bottom=bottom, label=label, color=colour)
            bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
        axis.set(title=title, xlabel="ranks (2 cores)", ylabel="seconds of a step, mean over ranks")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(PARTS))
    with (folder / "index.csv").open() as file:
        index = list(csv.DictReader(file))
    chunks = [int(row["chunks"]) for row in index]
    for column, label, marker in [("commit_seconds", "commit (no compression)", "o"), ("open_seconds", "open", "s"), ("read_point_seconds", "read a point", "^")]:
        axes[3].loglog(chunks, [float(row[column]) for row in index], marker=marker, label=label)
    axes[3].set(title="index of a step", xlabel="chunks", ylabel="seconds")
    axes[3].grid(True, which="both", alpha=0.3)
    figure.legend(*axes[3].get_legend_handles_labels(), loc="outside lower right", ncols=3)
    figure.savefig(folder / "scaling.png", dpi=110)
    for kind in found:
        for ranks, row in sorted(found[kind].items()):
            total = sum(row[column] for column, _, _ in PARTS)
            shares = ", ".join(f"{label} {100 * row[column] / total:.1f} %" for column, label, _ in PARTS)
            print(f"{kind} {ranks} ranks: step {row['seconds']:.3f} s; {shares}; ratio {row['input_bytes'] / row['stream_bytes']:.1f}")


main(Path(sys.argv[1]))
