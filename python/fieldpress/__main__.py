"""Pages and bounds from the command line: ``python -m fieldpress report`` and ``suggest``, which the tool calls.

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


def _suggest(given: argparse.Namespace) -> None:
    """Says which bound a NumPy file needs for a target."""
    from ._suggest import Target, suggest_for

    options: Any = {}
    for pair in given.option:
        name, _, value = pair.partition("=")
        options[name] = float(value) if name in ("fill_value", "range") else value
    targets = [Target.parse(text) for text in given.target]
    found = suggest_for(np.load(given.field, mmap_mode="r"), targets, given.kind, options)
    if given.output:
        Path(given.output).write_bytes(found.stream)
    info = found.report.info
    if given.json:
        said = {
            "bound": str(found.bound), "scores": found.scores, "ratio": found.ratio, "nrmse": info.nrmse,
            "max_abs_error": info.max_abs_error, "stream_bytes": found.report.stream_bytes,
            "tried": [{"bound": str(bound), "scores": scores} for bound, scores in found.tried],
        }  # fmt: skip
        print(json.dumps(said))
        return
    print(f"bound     {found.bound}")
    for target, score in found.scores.items():
        print(f"reaches   {score:.7g} for {target}")
    print(f"stream    {found.report.stream_bytes} bytes, ratio {found.ratio:.2f}")
    print(f"error     NRMSE {info.nrmse:.4e}, largest {info.max_abs_error:.4e}")
    print(f"tried     {', '.join(str(bound) for bound, _ in found.tried)} on the whole field")


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
    suggest = commands.add_parser("suggest", help="find the loosest bound under which a field reaches a target")
    suggest.add_argument("field", help="the field, x.npy")
    targets = "dssim=0.9995, ssim=0.999, pearson=0.99999 or spectrum=0.01@k50; all of several"
    suggest.add_argument("--target", action="append", required=True, help=targets)
    suggest.add_argument("--kind", choices=["nrmse", "rel", "abs"], default="nrmse", help="what bound is suggested")
    suggest.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="as compress() takes them")
    suggest.add_argument("-o", "--output", help="where the field's stream under that bound is written")
    suggest.add_argument("--json", action="store_true", help="print one JSON object")
    suggest.set_defaults(run=_suggest)
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
