"""Command line of the training code: `python -m training.cli <corpus|…> --help`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.corpus import build

if TYPE_CHECKING:
    from training.loop import LoopConfig


def corpus(args: argparse.Namespace) -> None:
    build.build(args.cache, args.kinds or list(build.KINDS), args.seeds, args.test_seed)


def loop_config(args: argparse.Namespace, part: str, **defaults: Any) -> LoopConfig:
    from training import weights
    from training.loop import LoopConfig

    given = {k: v for k, v in (("batch", args.batch), ("learning_rate", args.learning_rate)) if v is not None}
    earlier = weights.history(args.start, part) if getattr(args, "start", None) else ()
    budget = {"steps": args.steps, "minutes": args.minutes}
    return LoopConfig(folder=args.run_folder, seed=args.seed, earlier=earlier, **budget, **{**defaults, **given})


def interpolator(args: argparse.Namespace) -> None:
    from training import weights
    from training.train_interpolator import InterpolatorRun, train

    train(
        InterpolatorRun(
            loop_config(args, "interpolator"), args.cache, initial=weights.start(args.start) if args.start else None
        )
    )


def pairs(args: argparse.Namespace) -> None:
    from training.export import predictor
    from training.pairs import make

    interpolator = predictor(args.base, args.out / "predictor") if args.base else None
    make(args.cache, args.out, args.tool, args.count, predictor=interpolator)


def enhancer(args: argparse.Namespace) -> None:
    from training import weights
    from training.models.enhancer import EnhancerConfig, FineEnhancerConfig
    from training.train_enhancer import EnhancerRun, train

    fine = args.fine and args.start and (args.start / "enhancer_fine.onnx").exists()
    part = "enhancer_fine" if fine else "enhancer"
    initial = weights.start(args.start, part) if args.start else None
    model = FineEnhancerConfig() if args.fine else EnhancerConfig()
    loop = loop_config(args, part, validate_every=4000 if args.fine else 1000)
    train(EnhancerRun(loop, args.pairs, model, initial=initial))


def latents(args: argparse.Namespace) -> None:
    from training.train_latents import RATES, LatentsRun, train

    train(LatentsRun(loop_config(args, "latents", rates=RATES, batch=6, learning_rate=6e-4), args.cache))


def reference(args: argparse.Namespace) -> None:
    from training import weights
    from training.models.reference import ReferenceConfig
    from training.train_reference import ReferenceRun, train

    model = ReferenceConfig(super_resolution=not args.transposed)
    loop = loop_config(args, "reference", schedule="halving", batch=4, learning_rate=1e-3, warm_up=50)
    initial = None
    if args.start:
        initial = weights.of_reference(args.start, model) if args.start.is_dir() else weights.start(args.start)
    train(ReferenceRun(loop, args.cache, model, initial=initial))


def keep(args: argparse.Namespace) -> None:
    from training import weights

    weights.keep(args.run_folder, args.out)


def export(args: argparse.Namespace) -> None:
    from training.export import ExportConfig, export

    manifest = export(
        ExportConfig(
            args.out,
            args.interpolator,
            args.latents,
            args.hyper_variants,
            reference=args.reference,
            enhancer=args.enhancer,
            enhancer_fine=args.enhancer_fine,
            base=args.base,
        )
    )
    total = sum(f["bytes"] for f in manifest["files"].values())
    print(f"{args.out}: {len(manifest['files'])} files, {total / 1e6:.2f} MB, trained {manifest['training']['parts']}")


def evaluate(args: argparse.Namespace) -> None:
    from training.evaluate import evaluate, report

    print(report(evaluate(args.package, args.files)))


def gain(args: argparse.Namespace) -> None:
    from training.gain import GainConfig, against, common, read, summary, table
    from training.gain import gain as measure

    if args.tables:
        rows = read(args.out)
    else:
        config = GainConfig(
            args.files,
            args.out,
            args.tool,
            args.package,
            args.cache,
            args.kinds,
            args.frames,
            args.size,
            tuple(args.distances),
            tuple(args.bounds),
            args.of,
            args.only_failing,
            tuple(args.modes),
            args.effort,
            args.split,
        )
        rows = measure(config)
    rows = common(rows, [read(path) for path in args.common])
    print(table(rows), summary(rows), sep="\n\n")
    if args.against:
        print("", against(rows, read(args.against)), sep="\n")


def speed(args: argparse.Namespace) -> None:
    from training.speed import report, timings

    print(report(timings(args.packages, args.size, args.rounds)))


def finetune(args: argparse.Namespace) -> None:
    from training.finetune import FinetuneConfig, finetune

    minutes = args.minutes if args.minutes or args.steps else 60.0
    finetune(
        FinetuneConfig(
            args.base,
            args.data,
            args.run_folder,
            args.out,
            args.tool,
            minutes,
            args.steps,
            tuple(args.distances),
            args.learning_rate,
            pairs=args.pairs,
            seed=args.seed,
            networks=tuple(args.networks),
        )
    )


def record(args: argparse.Namespace) -> None:
    from training.record import record

    record(args.run_folder, args.out)


def add_training_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("run_folder", type=Path, help="checkpoints and log; an existing checkpoint there is resumed")
    p.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    p.add_argument("--minutes", type=float, help="budget in minutes of training")
    p.add_argument("--steps", type=int, help="budget in steps")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--batch", type=int)
    p.add_argument("--learning-rate", type=float)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="fieldpress-train", description="Corpus, training and export of fieldpress models"
    )
    commands = parser.add_subparsers(required=True)

    p = commands.add_parser("corpus", help="build the corpus cache")
    p.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    p.add_argument("--kinds", nargs="*", choices=list(build.KINDS), help="default: all")
    p.add_argument("--seeds", type=int, help="training seeds per kind")
    p.add_argument("--test-seed", type=int, help="only sequences of this seed, 9000 or more, as the split test-<seed>")
    p.set_defaults(run=corpus)

    p = commands.add_parser("interpolator", help="train or resume the interpolator")
    add_training_arguments(p)
    p.add_argument("--start", type=Path, help="weights of a new run: a package, or a file that `keep` wrote")
    p.set_defaults(run=interpolator)

    p = commands.add_parser("pairs", help="code crops of the corpus with the tool, for the enhancer to learn from")
    p.add_argument("out", type=Path, help="folder, outside the source tree")
    p.add_argument("--count", type=int, default=1400, help="pairs to train on")
    p.add_argument("--base", type=Path, help="package whose interpolator predicts every second pair")
    p.add_argument("--tool", type=Path, default=Path("target/release/fieldpress"))
    p.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    p.set_defaults(run=pairs)

    p = commands.add_parser("enhancer", help="train or resume the enhancer")
    add_training_arguments(p)
    p.add_argument("--pairs", type=Path, required=True, help="folder that `pairs` wrote")
    p.add_argument("--start", type=Path, help="weights of a new run: a package, or a file that `keep` wrote")
    p.add_argument(
        "--fine", action="store_true", help="the larger network of effort 2; starts from a small one's weights, too"
    )
    p.set_defaults(run=enhancer)

    p = commands.add_parser("latents", help="train or resume the autoencoder and its entropy model")
    add_training_arguments(p)
    p.set_defaults(run=latents)

    p = commands.add_parser("reference", help="train or resume the paper's architecture, for comparison")
    add_training_arguments(p)
    p.add_argument("--start", type=Path, help="weights of a new run: its package, or a file that `keep` wrote")
    p.add_argument(
        "--transposed", action="store_true", help="the ablation: transposed convolutions for the super-resolution"
    )
    p.set_defaults(run=reference)

    p = commands.add_parser(
        "export", help="write a model package from run folders (at any time, also while they train)"
    )
    p.add_argument("out", type=Path, help="package folder, e.g. models/default")
    p.add_argument("--interpolator", type=Path, help="run folder of the interpolator")
    p.add_argument("--latents", type=Path, help="run folder of the autoencoder")
    p.add_argument("--enhancer", type=Path, help="run folder of the enhancer")
    p.add_argument("--enhancer-fine", type=Path, help="run folder of the larger enhancer")
    p.add_argument("--base", type=Path, help="package whose parts are taken over where no run is named")
    p.add_argument("--reference", type=Path, help="run folder of the paper's architecture, for a package of its own")
    p.add_argument(
        "--hyper-variants", type=Path, help="also write the hyper-decoder in f64 and with permuted channels here"
    )
    p.set_defaults(run=export)

    p = commands.add_parser("evaluate", help="gain of a package's interpolator on .npy sequences [frames, H, W]")
    p.add_argument("package", type=Path)
    p.add_argument("files", type=Path, nargs="+")
    p.set_defaults(run=evaluate)

    p = commands.add_parser("gain", help="sizes of the tool's streams with and without the model; CSV and tables")
    p.add_argument("out", type=Path, help="CSV to write")
    p.add_argument(
        "files", type=Path, nargs="*", help=".npy files [frames, H, W] (default: the corpus's held-out sequences)"
    )
    p.add_argument("--tool", type=Path, default=Path("target/release/fieldpress"))
    p.add_argument("--package", type=Path, default=Path("models/default"))
    p.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    p.add_argument("--kinds", nargs="*", choices=list(build.KINDS), help="default: all")
    p.add_argument("--split", default="test", help="of the corpus: val for what decides something, or test-<seed>")
    p.add_argument("--frames", type=int, default=24)
    p.add_argument("--size", type=int, default=128, help="rows and columns of the central crop")
    p.add_argument("--distances", type=int, nargs="*", default=[1, 2, 4, 8], help="frame distances, in saved frames")
    p.add_argument("--bounds", type=float, nargs="*", default=[1e-2, 4e-3, 1e-3], help="NRMSE, or what --of says")
    kinds = ["nrmse", "rel", "block_l2"]
    p.add_argument("--of", default="nrmse", choices=kinds, help="what is bounded; block_l2 at an NRMSE's error")
    p.add_argument("--modes", nargs="*", default=["off", "auto", "on"], choices=["off", "auto", "on"])
    p.add_argument("--effort", type=int, default=1, choices=[0, 1, 2], help="of both; both networks at once only at 2")
    p.add_argument("--only-failing", action="store_true", help="only the distance where averaging begins to fail")
    p.add_argument("--against", type=Path, help="an earlier CSV, of another package: also print sizes over its")
    p.add_argument(
        "--common", type=Path, nargs="*", default=[], help="CSVs: tables of what all of them have, too, alone"
    )
    p.add_argument("--tables", action="store_true", help="print the tables of an earlier CSV; measure nothing")
    p.set_defaults(run=gain)

    p = commands.add_parser("speed", help="time of the graphs of packages through ONNX Runtime, one thread")
    p.add_argument("packages", type=Path, nargs="+")
    p.add_argument("--size", type=int, default=256, help="rows and columns of a tile")
    p.add_argument("--rounds", type=int, default=9)
    p.set_defaults(run=speed)

    p = commands.add_parser("finetune", help="continue a package's networks on your own sequences")
    p.add_argument("run_folder", type=Path, help="checkpoints and log; an existing checkpoint there is resumed")
    p.add_argument("--base", type=Path, default=Path("models/default"), help="package to start from")
    p.add_argument("--data", type=Path, nargs="+", required=True, help=".npy files [frames, H, W]")
    p.add_argument("--out", type=Path, required=True, help="package to write")
    p.add_argument("--tool", type=Path, default=Path("target/release/fieldpress"))
    p.add_argument("--minutes", type=float, help="of each network, side by side; default 60")
    p.add_argument("--steps", type=int, help="for each network")
    p.add_argument(
        "--distances", type=int, nargs="+", default=[1], help="at which the run writes, in frames of the data"
    )
    p.add_argument("--learning-rate", type=float, default=3e-4)
    p.add_argument("--pairs", type=int, default=200, help="crops that the tool codes for the enhancer")
    p.add_argument("--seed", type=int, default=1)
    networks = ["interpolator", "enhancer", "enhancer_fine"]
    p.add_argument(
        "--networks",
        nargs="+",
        choices=networks,
        default=networks,
        help="effort 1 uses the first two, 2 all but enhancer",
    )
    p.set_defaults(run=finetune)

    p = commands.add_parser(
        "keep", help="write a run's averaged weights in half precision, for a later run to start from"
    )
    p.add_argument("run_folder", type=Path)
    p.add_argument("out", type=Path, help="e.g. training/records/reference.pt")
    p.set_defaults(run=keep)

    p = commands.add_parser("record", help="write a run's curve and validations as small files")
    p.add_argument("run_folder", type=Path)
    p.add_argument("out", type=Path, help="e.g. training/records/interpolator (.csv and .json are added)")
    p.set_defaults(run=record)

    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
