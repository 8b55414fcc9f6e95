"""Writes the benchmark fields as raw little-endian f32 files, with an index of their dimensions.

Called by `fetch-data`, which brings the source files. Fields, not variables: the number of frames is the one the
benchmarks use, and fill values stay as stored (the index names them).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np


@dataclass(frozen=True)
class Source:
    """One benchmark field: where it is stored and how many entries of its first axis are used."""

    name: str
    file: str
    variable: str
    frames: int | None = None


CLIMATE = [
    Source("TS", "orig.TS.100days.nc", "TS", 96),
    Source("PRECT", "orig.PRECT.60days.nc", "PRECT", 56),
    Source("CLOUD", "cam-fv.CLOUD.3months.nc", "CLOUD"),
    Source("T", "cam-fv.T.3months.nc", "T"),
    Source("UWND", "monthly_navy_winds.cdf", "UWND"),
]


def stored_values(path: Path, variable: str, frames: int | None = None) -> tuple[np.ndarray, float | None]:
    """The variable's values exactly as stored, and its fill value if it has one that occurs."""
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        source = dataset.variables[variable]
        values = np.ascontiguousarray(source[:frames], dtype="<f4")
        fill = getattr(source, "_FillValue", None)
    if fill is None or not np.any(values == np.float32(fill)):
        return values, None
    return values, float(fill)


class Index:
    """`index.txt`: one line per field, `name dims type fill`, with `-` where no fill value occurs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def add(self, name: str, values: np.ndarray, fill: float | None) -> None:
        values.tofile(self.folder / f"{name}.f32")
        dims = ",".join(str(n) for n in values.shape)
        # repr of the f32 itself, so that it parses back to the stored value
        text = "-" if fill is None else str(np.float32(fill))
        self.lines.append(f"{name} {dims} f32 {text}")
        print(self.lines[-1])

    def write(self) -> None:
        header = "# name dims type fill; files are <name>.f32, little-endian, C order\n"
        (self.folder / "index.txt").write_text(header + "\n".join(self.lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True, help="folder that holds the NetCDF files, at any depth")
    parser.add_argument("--turbulence", type=Path, help="folder with turb_<field>_<every>.npy")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    index = Index(args.out)
    for source in CLIMATE:
        matches = sorted(args.sources.rglob(source.file))
        if not matches:
            raise SystemExit(f"{source.file} not found under {args.sources}")
        values, fill = stored_values(matches[0], source.variable, source.frames)
        index.add(source.name, values, fill)
    for path in sorted(args.turbulence.glob("turb_*.npy")) if args.turbulence else []:
        index.add(path.stem, np.load(path).astype("<f4"), None)
    index.write()


if __name__ == "__main__":
    main()
