"""The demo's results as Markdown: written beside them, and with --docs into README.md and docs/pictures.

Called by `demo`.

Errors are computed here, by NumPy in float64, from the simulation's own files and from what fieldpress gave back.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FIELDS = {"u": "velocity along", "v": "velocity across", "tracer": "tracer"}
PEERS = ["SZ3", "ZFP", "SPERR"]
PICTURES = ["shear-layer.png", "rate-distortion-tracer.png", "uwnd.png"]


@dataclass
class Run:
    """A run of the simulation, and what reading its output back gave."""

    bytes: int
    solver_seconds: float
    write_seconds: float
    # Largest over fields and windows of outputs, over the window's range; zero where nothing was compressed.
    nrmse: float


def original(folder: Path, field: str, size: int) -> np.ndarray:
    return np.fromfile(folder / "raw" / f"{field}.f32", "<f4").reshape(-1, size, size)


def nrmse(original: np.ndarray, decoded: np.ndarray) -> float:
    """Root mean square error over the original's range."""
    x, y = original.astype(np.float64), decoded.astype(np.float64)
    return float(np.sqrt(np.mean(np.square(y - x))) / np.ptp(x))


def read_run(folder: Path, name: str) -> Run:
    said = json.loads((folder / f"{name}.json").read_text())
    worst = 0.0
    if name != "raw":
        for field in FIELDS:
            x, y = original(folder, field, said["size"]), np.load(folder / f"{name}-{field}.npy")
            assert x.shape == y.shape, f"{name}: {field} came back as {y.shape}, expected {x.shape}"
            for first in range(0, len(x), said["window"]):
                window = slice(first, first + said["window"])
                worst = max(worst, nrmse(x[window], y[window]))
        promised = float(said["bound"].removeprefix("nrmse="))
        assert worst <= promised, f"{name}: the bound {promised} is broken: {worst}"
    return Run(said["bytes"], said["solver_seconds"], said["write_seconds"], worst)


def check_parts(folder: Path, size: int) -> str:
    """What was read back in part agrees with the whole; a sentence about it."""
    whole, box, quarter = (np.load(folder / f"{name}.npy") for name in ("with-tracer", "box", "quarter"))
    assert np.array_equal(box, whole[32:48, 64:128, :128]), "the box is not the whole's"
    x = original(folder, "tracer", size).astype(np.float64)
    means = x.reshape(len(x), size // 4, 4, size // 4, 4).mean((2, 4))
    assert quarter.shape == means.shape, f"a quarter of the resolution came back as {quarter.shape}"
    away = nrmse(means, quarter)
    return (
        f"A box of the tracer, read alone, has the same values as in the whole; at a quarter of the resolution it is "
        f"within an\nNRMSE of {away:.3f} of the 4×4 means."
    )


def seconds(value: float) -> str:
    return f"{value:.1f}"


def mission(folder: Path) -> str:
    """The table of the simulation's runs."""
    raw, without, with_model = (read_run(folder, name) for name in ("raw", "without", "with"))
    promised = json.loads((folder / "with.json").read_text())["bound"].removeprefix("nrmse=")
    saved = 1 - with_model.bytes / without.bytes
    lines = [
        "| the simulation writes | bytes | ratio | NRMSE promised | measured | the model saves | computing | writing |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows = [("its fields as they are", raw, ""), ("through fieldpress, without the model", without, "")]
    rows.append(("**through fieldpress**", with_model, f"**{saved:.1%}**".replace("%", " %")))
    for name, run, model in rows:
        bound, measured = ("", "") if run is raw else (promised, f"{run.nrmse:.4e}".replace("e-0", "e-"))
        cells = [name, f"{run.bytes:,}", f"{raw.bytes / run.bytes:.3g}", bound, measured, model]
        cells += [f"{seconds(run.solver_seconds)} s", f"{seconds(run.write_seconds)} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def ratios(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def best(rows: list[dict[str, str]], target: str, codec: str) -> str:
    """The best ratio of a codec over its modes; in brackets where its error could not be brought to the target."""
    of_codec = [row for row in rows if row["target_nrmse"] == target and row["codec"] == codec]
    if not of_codec:
        return "–"
    row = max(of_codec, key=lambda row: float(row["ratio"]))
    ratio = float(row["ratio"])
    text = f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"
    return text if row["on_target"] == "yes" else f"({text})"


def beside(folder: Path) -> str:
    """The table of ratios at equal error."""
    lines = [
        "| field | NRMSE | fieldpress | without the model | " + " | ".join(PEERS) + " |",
        "| --- | ---: |" + " ---: |" * (len(PEERS) + 2),
    ]
    titles = {name: FIELDS[name] for name in ("tracer", "u", "v")} | {"winds": "monthly winds (climate)"}
    for name, title in titles.items():
        rows = ratios(folder, name)
        for target in dict.fromkeys(row["target_nrmse"] for row in rows):
            ours = [f"**{best(rows, target, 'fieldpress-1')}**", best(rows, target, "fieldpress-1-nofm")]
            cells = [title, target, *ours, *(best(rows, target, peer) for peer in PEERS)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def climate(folder: Path) -> str:
    """A true sentence about the model on the winds."""
    used = [float(row["fm_share"]) for row in ratios(folder, "winds") if row["codec"] == "fieldpress-1"]
    if max(used) == 0:
        return "On the winds, months apart, the model did not help, and fieldpress left it out."
    return f"On the winds, months apart, the model was used in up to {max(used):.0%} of the chunks.".replace("%", " %")


def replace(text: str, name: str, new: str) -> str:
    """`text` with what stands between a pair of markers replaced."""
    begin, end = f"<!-- {name} of tools/demo: begin -->", f"<!-- {name} of tools/demo: end -->"
    assert text.count(begin) == 1 and text.count(end) == 1, f"README.md lacks the markers of {name}"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{new.strip()}\n\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the demo wrote its results")
    parser.add_argument("--docs", action="store_true", help="renew README.md and docs/pictures")
    args = parser.parse_args()

    size = json.loads((args.folder / "raw.json").read_text())["size"]
    parts = {
        "the simulation": mission(args.folder) + "\n" + check_parts(args.folder, size),
        "the comparison": beside(args.folder) + "\n" + climate(args.folder),
    }
    text = "\n\n".join(parts.values())
    (args.folder / "tables.md").write_text(text + "\n")
    print(f"\n{text}\n")
    if args.docs:
        readme = ROOT / "README.md"
        renewed = readme.read_text()
        for name, part in parts.items():
            renewed = replace(renewed, name, part)
        readme.write_text(renewed)
        for name in PICTURES:
            shutil.copyfile(args.folder / name, ROOT / "docs" / "pictures" / name)


if __name__ == "__main__":
    main()
