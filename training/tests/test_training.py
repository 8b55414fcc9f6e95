"""Samples, shapes, short deterministic runs, exact resume, and the export of both parts."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from training import pairs, triplets, weights
from training.corpus import random_fields
from training.export import OPERATORS, ExportConfig, check, check_operators, export, run_onnx, to_onnx
from training.finetune import FinetuneConfig, finetune
from training.loop import LoopConfig, Run
from training.models.autoencoder import Autoencoder, AutoencoderConfig
from training.models.enhancer import Enhancer, EnhancerConfig, FineEnhancer, FineEnhancerConfig
from training.models.interpolator import Interpolator, InterpolatorConfig
from training.sampling import Corpus
from training.train_enhancer import EnhancerRun, start
from training.train_enhancer import train as train_enhancer
from training.train_interpolator import InterpolatorRun
from training.train_interpolator import train as train_interpolator
from training.train_latents import LatentsRun
from training.train_latents import train as train_latents

TOOL = Path("target/release/fieldpress")
SMALL = InterpolatorConfig(stem=16, widths=(8, 8), down_blocks=(1, 1), up_blocks=(1,))
SMALL_ENHANCER = EnhancerConfig(stem=16, widths=(8, 8), down_blocks=(1, 1), up_blocks=(1,))
SMALL_LATENTS = AutoencoderConfig(y_channels=16, z_channels=4, widths=(8, 8, 16), blocks=(1, 1, 1))


def loop(folder: Path, steps: int) -> LoopConfig:
    return LoopConfig(folder=folder, steps=steps, batch=2, validate_every=1000)


def test_the_interpolator_starts_as_the_polynomial() -> None:
    model = Interpolator(InterpolatorConfig())
    out = model(torch.randn(1, 6, 64, 96), torch.randn(1, 4))
    assert out.shape == (1, 1, 64, 96) and float(out.detach().abs().max()) == 0


def test_the_base_is_exact_on_polynomials_in_time() -> None:
    def at(t: float, power: int) -> torch.Tensor:
        return torch.full((1, 1, 2, 2), 1.0 + t**power)

    for left, right, power in ((1.0, 1.0, 3), (1.0, 0.0, 2), (0.0, 1.0, 2), (0.0, 0.0, 1)):
        flags = torch.full((1, 1, 1, 1), left), torch.full((1, 1, 1, 1), right)
        got = triplets.base(at(-3, power), at(-1, power), at(1, power), at(3, power), *flags)
        assert torch.allclose(got, at(0, power), atol=1e-6)


def test_the_autoencoder_starts_as_a_block_transform() -> None:
    model = Autoencoder(AutoencoderConfig())
    x = torch.ones(1, 8, 64, 64) * torch.linspace(-0.5, 0.5, 64)
    full, half, quarter = model.decoder(model.encoder(x))
    assert full.shape == x.shape and half.shape == (1, 8, 32, 32) and quarter.shape == (1, 8, 16, 16)
    assert float((full - x).detach().abs().max()) < 0.05


def test_the_enhancer_starts_as_nothing_and_sees_no_level() -> None:
    model = Enhancer(EnhancerConfig())
    frames, cond = torch.randn(1, 5, 64, 96), torch.full((1, 1), 3.0)
    out = model(frames, cond)
    assert out.shape == (1, 1, 64, 96) and float(out.detach().abs().max()) == 0
    torch.nn.init.normal_(model.gated.weight)
    inside = (slice(None), slice(None), slice(24, 40), slice(24, 72))
    with torch.no_grad():
        raised = model.stem(frames + 100) - model.stem(frames)
        model.settle()
        settled = model.stem(frames + 100) - model.stem(frames)
    assert float(settled[0, :, 4:-4, 4:-4].abs().max()) < 1e-3 < float(raised[0, :, 4:-4, 4:-4].abs().max())
    assert float(model(frames, cond)[inside].detach().abs().max()) > 0


def test_the_larger_enhancer_begins_as_the_small_one() -> None:
    torch.manual_seed(2)
    small, fine = Enhancer(EnhancerConfig()), FineEnhancer(FineEnhancerConfig())
    for p in small.parameters():
        torch.nn.init.normal_(p, std=0.1)
    start(fine, small.state_dict())
    frames, cond = torch.randn(2, 5, 64, 96), torch.tensor([[1.0], [4.0]])
    with torch.no_grad():
        assert torch.equal(small(frames, cond), fine(frames, cond)) and float(small(frames, cond).abs().max()) > 0
        torch.nn.init.normal_(fine.detail_direct.weight, std=0.1)
        assert not torch.equal(small(frames, cond), fine(frames, cond))
    with pytest.raises(ValueError, match="of no enhancer"):
        start(fine, Interpolator(InterpolatorConfig()).state_dict())


@pytest.fixture(scope="module")
def coded(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs whose coding is noise in place of the tool's."""
    out = tmp_path_factory.mktemp("pairs")
    for split, made in (("train", [pairs.drawn(Corpus(cache / "train"), 1, k) for k in range(3)]), ("val", None)):
        (out / split).mkdir()
        for index, (sequence, frames, bound) in enumerate(made or list(pairs.fixed(Corpus(cache / "val")))):
            noise = bound * np.random.default_rng(index).standard_normal(frames.shape).astype(np.float32)
            pairs.save(out / split / f"{index:05d}", sequence, frames, frames + noise, bound)
    return out


def test_the_enhancer_trains_alike_twice(coded: Path, tmp_path: Path) -> None:
    def run(name: str) -> dict[str, torch.Tensor]:
        made = train_enhancer(EnhancerRun(loop(tmp_path / name, 20), coded, SMALL_ENHANCER, crops=(32,)))
        assert np.isfinite(made.history[-1]["validation"]["mean"])
        return {k: v.clone() for k, v in made.model.state_dict().items()}

    first, again = run("a"), run("b")
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_twenty_steps_are_deterministic_and_resume_exactly(cache: Path, tmp_path: Path) -> None:
    def run(name: str, steps: int) -> dict[str, torch.Tensor]:
        made = train_interpolator(InterpolatorRun(loop(tmp_path / name, steps), cache, SMALL, crop=32))
        return {k: v.clone() for k, v in made.model.state_dict().items()}

    first, again = run("a", 20), run("b", 20)
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_an_interrupted_run_resumes_exactly(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = InterpolatorRun(replace(loop(tmp_path / "whole", 20), checkpoint_minutes=0), cache, SMALL, crop=32)
    whole = train_interpolator(config)
    broken = replace(config, loop=replace(config.loop, folder=tmp_path / "broken", rescan_every=11))
    scans = 0

    def interrupt(corpus: Corpus) -> None:
        nonlocal scans
        scans += 1
        if scans > 1:
            raise KeyboardInterrupt
        scan(corpus)

    scan = Corpus.rescan
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Corpus, "rescan", interrupt)
        train_interpolator(broken)
    assert torch.load(tmp_path / "broken" / "checkpoint.pt", weights_only=True)["step"] == 10
    resumed = train_interpolator(broken)
    assert resumed.step == 20
    for ours, theirs in (
        (whole.model.state_dict(), resumed.model.state_dict()),
        (whole.averaged(), resumed.averaged()),
    ):
        assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_run_goes_on_as_it_began_or_not_at_all(cache: Path, tmp_path: Path) -> None:
    config = InterpolatorRun(loop(tmp_path / "run", 2), cache, SMALL, crop=32)
    train_interpolator(config)
    longer = train_interpolator(replace(config, loop=replace(config.loop, steps=3)))
    assert longer.step == 3
    with pytest.raises(ValueError, match=r"run holds a run with learning rate 0.0015, not 0.1"):
        train_interpolator(replace(config, loop=replace(config.loop, steps=4, learning_rate=0.1)))


def test_a_run_whose_gradients_are_lost_gives_up(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    run = Run(loop(tmp_path, 1000), model)

    def loss(model: torch.nn.Module, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, dict[str, float]]:
        return model(torch.ones(size, 1)).mean() * (float("nan") if run.step >= 5 else 1), {}

    with pytest.raises(FloatingPointError, match="50 gradients in a row, to step 55 of"):
        run.train(loss)


def test_fields_that_stand_still_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "still"
    folder.mkdir(parents=True)
    still = np.broadcast_to(np.random.default_rng(1).random((1, 32, 32), np.float32), (9, 32, 32))
    np.save(folder / "still.npy", still)
    with pytest.raises(ValueError, match=r"still.npy, which spans .*do its fields stand still"):
        triplets.draw(Corpus(tmp_path / "train"), 32, np.random.default_rng(1))


def test_latents_train_and_validate(cache: Path, tmp_path: Path) -> None:
    run = train_latents(LatentsRun(loop(tmp_path / "l", 4), cache, SMALL_LATENTS, crop=64))
    assert run.step == 4
    assert all(torch.isfinite(v).all() for v in run.averaged().values())
    assert "random_fields/12" in run.history[-1]["validation"]


def checkpoint(
    folder: Path, model: torch.nn.Module, scale: float, earlier: list[dict[str, object]] | None = None
) -> Path:
    """A run's folder with random weights."""
    folder.mkdir()
    torch.manual_seed(1)
    average = {name: scale * torch.randn(value.shape) for name, value in model.state_dict().items()}
    torch.save({"average": average, "step": 7, "seconds": 36.0, "earlier": earlier or []}, folder / "checkpoint.pt")
    return folder


def test_graphs_compute_what_the_networks_do(tmp_path: Path) -> None:
    """Fresh networks give zeros, whatever their bodies do; these do not."""
    interpolator = checkpoint(tmp_path / "interpolator", Interpolator(InterpolatorConfig()), 0.05)
    enhancer = checkpoint(tmp_path / "enhancer", Enhancer(EnhancerConfig()), 0.05)
    fine = checkpoint(tmp_path / "fine", FineEnhancer(FineEnhancerConfig()), 0.05)
    export(ExportConfig(tmp_path / "made", interpolator, None, enhancer=enhancer, enhancer_fine=fine))
    rng = np.random.default_rng(2)
    networks: dict[str, torch.nn.Module] = {
        "interpolator": Interpolator(InterpolatorConfig()),
        "enhancer": Enhancer(EnhancerConfig()),
        "enhancer_fine": FineEnhancer(FineEnhancerConfig()),
    }
    for name, model in networks.items():
        first, channels, conditions = ("planes", 6, 4) if name == "interpolator" else ("frames", 5, 1)
        inputs = {
            first: rng.standard_normal((1, channels, 64, 64)).astype(np.float32),
            "cond": np.zeros((1, conditions), np.float32),
        }
        graph = tmp_path / "made" / f"{name}.onnx"
        made = run_onnx(graph.read_bytes(), inputs)[0]
        assert made.std() > 1e-3, name
        loaded = weights.of_graph(graph)
        loaded["stem.weight"] += 0.01 * torch.randn(loaded["stem.weight"].shape)
        model.load_state_dict({key: loaded[key] for key in model.state_dict()})
        with pytest.raises(ValueError, match="differs from PyTorch"):
            check(name, graph.read_bytes(), model, {key: torch.from_numpy(value) for key, value in inputs.items()})


@pytest.mark.parametrize("scale", [float("nan"), 7e4])
def test_weights_that_are_no_numbers_are_not_exported(tmp_path: Path, scale: float) -> None:
    run = checkpoint(tmp_path / "run", Interpolator(InterpolatorConfig()), scale)
    with pytest.raises(ValueError, match=r"interpolator.onnx: ONNX differs from PyTorch by (nan|inf)"):
        export(ExportConfig(tmp_path / "made", run, None))
    assert not list((tmp_path / "made").iterdir())


def test_a_folder_without_a_run_is_not_exported(tmp_path: Path) -> None:
    for part in ("interpolator", "latents", "enhancer", "enhancer_fine", "reference"):
        given = {"interpolator": None, "latents": None, part: tmp_path / "typo"}
        with pytest.raises(FileNotFoundError, match=r"typo/checkpoint.pt is not there"):
            export(ExportConfig(tmp_path / "made", **given))


def test_a_package_remembers_the_runs_behind_it(tmp_path: Path) -> None:
    run = checkpoint(tmp_path / "run", Interpolator(InterpolatorConfig()), 0.05, [{"steps": 3, "hours": 1.0}])
    manifest = export(ExportConfig(tmp_path / "made", run, None))
    assert manifest["training"]["parts"]["interpolator"]["earlier"] == [{"steps": 3, "hours": 1.0}]
    assert [r["steps"] for r in weights.history(tmp_path / "made")] == [3, 7]
    assert weights.history(tmp_path / "made", "enhancer") == ()


def test_the_package_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "default"
    none = tmp_path / "none"
    manifest = export(
        ExportConfig(out, none, none, tmp_path / "hyper", enhancer=none, enhancer_fine=none, untrained=True)
    )
    assert manifest == json.loads((out / "manifest.json").read_text())
    named = set(manifest["files"])
    parts = {manifest["interpolator"]["graph"], manifest["enhancer"]["graph"], manifest["latents"]["encoder"]}
    assert parts | {"tables.json"} <= named
    assert sum(f["bytes"] for f in manifest["files"].values()) < 8_000_000
    assert len(json.loads((out / "tables.json").read_text())["z"]) == manifest["latents"]["z_channels"]
    assert {p.name for p in (tmp_path / "hyper").iterdir()} == {"hyper_decoder_f64.onnx", "hyper_decoder_permuted.onnx"}
    assert np.all([p["largest_sum"] < p["limit"] for p in manifest["latents"]["range_proof"]])


@pytest.mark.skipif(not TOOL.exists(), reason=f"needs the tool, {TOOL}, which makes the enhancer's pairs")
def test_finetuning_starts_from_the_package(tmp_path: Path) -> None:
    base, data = tmp_path / "base", tmp_path / "user.npy"
    none = tmp_path / "none"
    export(ExportConfig(base, none, none, enhancer=none, enhancer_fine=none, untrained=True))
    # In double precision, and a unit of its own, as simulations have them.
    np.save(data, 1e30 * (300 + random_fields.generate(7, 64, 9)["f"].astype(np.float64)))
    config = FinetuneConfig(base, [data], tmp_path / "run", tmp_path / "mine", TOOL, steps=2, batch=1, crop=64, pairs=2)
    manifest = finetune(config)
    with pytest.raises(ValueError, match=r"run was begun with other pairs: 2, not 3; name another folder"):
        finetune(replace(config, pairs=3))
    assert manifest["training"]["base"] == "base" and manifest["training"]["steps"] == 6
    assert set(manifest["files"]) == set(json.loads((base / "manifest.json").read_text())["files"])
    for part in ("interpolator", "enhancer", "enhancer_fine"):
        before, after = (weights.start(tmp_path / p, part) for p in ("base", "mine"))
        moved = float((before["stem.weight"] - after["stem.weight"]).abs().max())
        assert 0 < moved < 1e-2, part


def test_a_new_run_starts_from_kept_weights(cache: Path, tmp_path: Path) -> None:
    run = train_interpolator(InterpolatorRun(loop(tmp_path / "a", 2), cache, SMALL, crop=32))
    kept = tmp_path / "kept.pt"
    weights.keep(tmp_path / "a", kept)
    initial = weights.start(kept)
    assert all(torch.equal(v.half().float(), initial[k]) for k, v in run.averaged().items())
    still = replace(loop(tmp_path / "b", 1), learning_rate=0.0)
    again = train_interpolator(InterpolatorRun(still, cache, SMALL, crop=32, initial=initial))
    assert all(torch.equal(v, initial[k]) for k, v in again.model.state_dict().items())


def test_graphs_have_only_operators_that_the_library_runs() -> None:
    package = (Path(__file__).parents[2] / "docs/model-package.md").read_text()
    text = package.split("- Operators are these")[1].split("Types are")[0]
    assert set(re.findall(r"`(\w+)`", text)) == OPERATORS
    node = onnx.helper.make_node("Loop", [], [])
    graph = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    with pytest.raises(ValueError, match=r"g.onnx: the library runs no Loop"):
        check_operators("g.onnx", graph)


def test_equal_weights_keep_their_names_in_a_graph_without_identities(tmp_path: Path) -> None:
    model = torch.nn.Sequential(*(torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(4)))
    for conv in model:
        torch.nn.init.zeros_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
    frames = torch.randn(1, 4, 8, 8)
    graph = to_onnx(model, {"x": frames}, ["y"])
    assert {node.op_type for node in graph.graph.node} == {"Conv"}
    onnx.save_model(graph, str(tmp_path / "g.onnx"))
    assert weights.of_graph(tmp_path / "g.onnx").keys() == model.state_dict().keys()
    assert np.array_equal(run_onnx(graph.SerializeToString(), {"x": frames.numpy()})[0], model(frames).detach().numpy())
