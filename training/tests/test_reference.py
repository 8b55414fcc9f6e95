"""The paper's architecture: sizes, shapes, a short run, and its package."""

import json
from pathlib import Path

import pytest
import torch

from training import weights
from training.export import ExportConfig, export
from training.loop import LoopConfig, Run
from training.models.reference import Reference, ReferenceConfig
from training.train_reference import ReferenceRun, evaluate, train


@pytest.mark.parametrize(("super_resolution", "millions"), [(True, 1.8), (False, 1.5)])
def test_it_is_as_large_as_the_paper_says(super_resolution: bool, millions: float) -> None:
    model = Reference(ReferenceConfig(super_resolution=super_resolution))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("super_resolution", [True, False])
def test_shapes(super_resolution: bool) -> None:
    model = Reference(ReferenceConfig(super_resolution=super_resolution))
    y = model.encoder(torch.randn(2, 8, 64, 128))
    assert y.shape == (2, 2 * 64, 4, 8)
    z = model.hyper_encoder(y)
    assert z.shape == (2, 2 * 64, 1, 2)
    mean, scale = model.modelled(z.round())
    assert mean.shape == scale.shape == y.shape
    assert model.decoder(y).shape == (2, 8, 64, 128)
    mse, bits = evaluate(model, torch.randn(2, 8, 64, 64), bfloat16=False, training=False)
    assert mse.shape == bits.shape == (2,) and float(bits.detach().min()) > 0


def test_slices_share_their_networks() -> None:
    model = Reference(ReferenceConfig())
    y = torch.randn(1, 64, 8, 8)
    first, second = model.hyper_encoder(torch.cat([y, y], dim=1)).chunk(2, dim=1)
    assert torch.equal(first, second)


def test_it_trains_and_makes_a_package(cache: Path, tmp_path: Path) -> None:
    loop = LoopConfig(folder=tmp_path / "run", steps=2, batch=1, schedule="halving")
    run = train(ReferenceRun(loop, cache, ReferenceConfig(super_resolution=False), crop=64))
    assert run.step == 2 and "random_fields" in run.history[-1]["validation"]
    out = tmp_path / "reference"
    manifest = export(ExportConfig(out, None, None, reference=tmp_path / "run"))
    part = manifest["latents"]
    assert part["parameters"] < 1_600_000 and part["y_time"] == 2 and "decoder_half" not in part
    assert len(json.loads((out / "tables.json").read_text())["z"]) == part["z_channels"] == 128


@pytest.mark.parametrize("super_resolution", [True, False])
def test_a_run_goes_on_from_its_package(super_resolution: bool, tmp_path: Path) -> None:
    """Half precision, integers and tables lead back to a model that makes the same of a window."""
    config = ReferenceConfig(super_resolution=super_resolution)
    torch.manual_seed(3)
    trained = Reference(config)
    with torch.no_grad():
        for value in trained.parameters():
            value.add_(0.01 * torch.randn_like(value))
        trained.prior.mean.normal_()
        trained.prior.log_scale.uniform_(0, 2)
    Run(LoopConfig(folder=tmp_path / "run", steps=1), trained).save()
    export(ExportConfig(tmp_path / "package", None, None, reference=tmp_path / "run"))
    again = Reference(config)
    again.load_state_dict(weights.of_reference(tmp_path / "package", config))
    assert torch.allclose(again.prior.mean, trained.prior.mean, atol=0.02)
    assert torch.allclose(again.prior.log_scale, trained.prior.log_scale, atol=0.05)
    x = torch.randn(1, 8, 64, 64)
    with torch.no_grad():
        for want, got in zip(*(evaluate(m, x, bfloat16=False, training=False) for m in (trained, again)), strict=True):
            assert torch.allclose(want, got, rtol=0.02)
