"""Command line of the training code: `python -m training.cli <corpus|…> --help`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.corpus import build


def corpus(args: argparse.Namespace) -> None:
    build.build(args.cache, args.kinds or list(build.KINDS), args.seeds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="fieldpress-train", description="Corpus, training and export of fieldpress models")
    commands = parser.add_subparsers(required=True)

    p = commands.add_parser("corpus", help="build the corpus cache")
    p.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    p.add_argument("--kinds", nargs="*", choices=list(build.KINDS), help="default: all")
    p.add_argument("--seeds", type=int, help="training seeds per kind")
    p.set_defaults(run=corpus)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
