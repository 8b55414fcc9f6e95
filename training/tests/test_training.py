"""Samples, shapes, short deterministic runs, exact resume, and the export of both parts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import pairs, triplets, weights
from training.corpus import random_fields
from training.export import ExportConfig, export
from training.finetune import FinetuneConfig, finetune
from training.loop import LoopConfig
from training.models.autoencoder import Autoencoder, AutoencoderConfig
from training.models.enhancer import Enhancer, EnhancerConfig
from training.models.interpolator import Interpolator, InterpolatorConfig
from training.sampling import Corpus
from training.train_enhancer import EnhancerRun
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
    # The learning rate depends on the budget, so the interrupted run keeps the budget and stops by its checkpoint.
    config = InterpolatorRun(loop(tmp_path / "c", 20), cache, SMALL, crop=32)
    half = train_interpolator(replace(config, loop=replace(config.loop, folder=tmp_path / "d", steps=20)))
    assert half.step == 20
    resumed = train_interpolator(replace(config, loop=replace(config.loop, folder=tmp_path / "d")))
    assert resumed.step == 20 and all(torch.equal(first[k], v) for k, v in resumed.model.state_dict().items())


def test_latents_train_and_validate(cache: Path, tmp_path: Path) -> None:
    run = train_latents(LatentsRun(loop(tmp_path / "l", 4), cache, SMALL_LATENTS, crop=64))
    assert run.step == 4
    assert all(torch.isfinite(v).all() for v in run.averaged().values())
    assert "random_fields/12" in run.history[-1]["validation"]


def test_the_package_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "default"
    none = tmp_path / "none"
    manifest = export(ExportConfig(out, none, none, tmp_path / "hyper", enhancer=none))
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
    export(ExportConfig(base, tmp_path / "none", tmp_path / "none", enhancer=tmp_path / "none"))
    np.save(data, random_fields.generate(7, 64, 9)["f"])
    manifest = finetune(
        FinetuneConfig(base, [data], tmp_path / "run", tmp_path / "mine", TOOL, steps=2, batch=1, crop=64, pairs=2)
    )
    assert manifest["training"]["base"] == "base" and manifest["training"]["steps"] == 4
    assert set(manifest["files"]) == set(json.loads((base / "manifest.json").read_text())["files"])
    for part in ("interpolator", "enhancer"):
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
