"""Pages and bounds from the command line: ``python -m fieldpress report``, which the tool's ``--report`` calls.

Exit codes are the tool's: 0 done, 1 a package is missing or writing failed, 2 bad usage, 3 bad input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import FieldpressError, InvalidArgument, __version__
from .info import Bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

OTHER, USAGE, INPUT = 1, 2, 3


def _numbers(of: Any) -> NDArray[np.float64] | None:
    return None if of is None else np.array(of, np.float64)


def _report(given: argparse.Namespace) -> None:
    """Writes a page on a NumPy file and what became of it."""
    from ._charts import Grid
    from ._report import About, report, write_page

    original = np.load(given.original, mmap_mode="r")
    if not given.about:
        path = Path(given.decoded)
        decoded: Any = np.load(path, mmap_mode="r") if path.suffix == ".npy" else path.read_bytes()
        found = report(original, decoded, given.output, title=given.title or Path(given.original).name)
    else:
        said = json.loads(Path(given.about).read_text())
        bound = said.get("bound")
        about = About(
            title=said.get("title", given.original),
            bound=Bound(*bound) if bound else None,
            bound_holds=said.get("bound_holds"),
            bound_range=said.get("bound_range"),
            input_bytes=said.get("input_bytes"),
            stream_bytes=said.get("stream_bytes"),
        )
        grid = Grid(
            said.get("units", ""),
            _numbers(said.get("latitudes")),
            _numbers(said.get("longitudes")),
            tuple(said.get("dims", ())),
        )
        decoded = np.load(given.decoded, mmap_mode="r")
        found = write_page(original, decoded, given.output, about, grid, tuple(said.get("masked", ())))
    if given.json:
        print(json.dumps(found.as_dict()))
    elif not given.quiet:
        print(found.verdict)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fieldpress", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="write a page on a decoded field, one HTML file")
    report.add_argument("original", help="the field, x.npy")
    report.add_argument("decoded", help="its decoded values, x.npy, or its stream")
    report.add_argument("-o", "--output", required=True, help="page to write, x.html")
    report.add_argument("--title", help="what the field is called")
    report.add_argument("--about", help="a JSON object that says more: title, units, dims, latitudes, longitudes, "
                        "masked, bound, bound_holds, bound_range, input_bytes, stream_bytes")  # fmt: skip
    said = report.add_mutually_exclusive_group()
    said.add_argument("--json", action="store_true", help="print all numbers as one JSON object")
    said.add_argument("--quiet", action="store_true", help="print nothing")
    report.set_defaults(run=_report)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except ModuleNotFoundError as error:
        return _failed(OTHER, error)
    except InvalidArgument as error:
        return _failed(USAGE, error)
    except (FieldpressError, ValueError) as error:
        return _failed(INPUT, error)
    except OSError as error:
        inputs = [vars(given).get(name) for name in ("original", "decoded", "about", "field")]
        return _failed(INPUT if error.filename is not None and str(error.filename) in inputs else OTHER, error)
    return 0


def _failed(code: int, error: Exception) -> int:
    print(f"fieldpress: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
