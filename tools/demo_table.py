"""The demo's results as a Markdown table: written beside them, and with --docs into README.md and docs/pictures.

Called by `demo`.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["SZ3", "ZFP", "SPERR"]
BEGIN = "<!-- the table of tools/demo: begin -->"
END = "<!-- the table of tools/demo: end -->"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def ratio_of(rows: list[dict[str, str]], bound: float, codec: str) -> str:
    """The best ratio of a codec at a bound, over its modes; a dash where it was not measured."""
    ratios = [float(row["ratio"]) for row in rows if float(row["target_nrmse"]) == bound and row["codec"] == codec]
    return f"{max(ratios):.3g}" if ratios else "–"


def table(folder: Path) -> str:
    rows = rows_of(folder / "uwnd.csv")
    lines = [
        "| NRMSE | fieldpress | " + " | ".join(PEERS) + " | largest error (m/s) |",
        "| ---: | ---: |" + " ---: |" * len(PEERS) + " ---: |",
    ]
    for path in sorted(folder.glob("uwnd-*.json"), key=lambda path: -float(path.stem.removeprefix("uwnd-"))):
        name = path.stem.removeprefix("uwnd-")
        verified = json.loads(path.read_text())
        peers = [ratio_of(rows, float(name), codec) for codec in PEERS]
        cells = [name, f"**{verified['ratio']:.3g}**", *peers, f"{verified['max_abs_error']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the demo wrote its results")
    parser.add_argument("--docs", action="store_true", help="renew README.md and docs/pictures")
    args = parser.parse_args()

    text = table(args.folder)
    (args.folder / "table.md").write_text(text)
    print("\nCompression ratios at equal error:\n")
    print(text)
    if args.docs:
        readme = ROOT / "README.md"
        before, rest = readme.read_text().split(BEGIN)
        _, after = rest.split(END)
        readme.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
        pictures = ROOT / "docs" / "pictures"
        pictures.mkdir(exist_ok=True)
        for name in ["uwnd.png", "rate-distortion.png"]:
            shutil.copyfile(args.folder / name, pictures / name)


if __name__ == "__main__":
    main()
