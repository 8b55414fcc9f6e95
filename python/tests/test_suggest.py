"""Bounds that `fieldpress.suggest` finds: they reach the target, and looser ones do not."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, waves
from hypothesis import given
from hypothesis import strategies as st

import fieldpress
from fieldpress import __main__, _suggest
from fieldpress._search import Line, furthest

TOOL = os.environ.get("FIELDPRESS_TOOL", "")

LINE = Line(low=-20.0, high=5.0, slope=2.0, close=0.1, narrow=0.02, trials=12)


@given(st.floats(-19, 4.5), st.floats(0.3, 6), st.floats(-20, 5), st.floats(0, 0.05))
def test_searches_end_just_before_zero(zero: float, slope: float, start: float, ripple: float) -> None:
    def function(at: float) -> float:
        return slope * (at - zero) + ripple * math.sin(40 * at)

    found = furthest(function, start, LINE)
    assert found is not None and function(found) <= 0
    assert found > zero - 1


def test_searches_know_their_ends() -> None:
    assert furthest(lambda at: -1.0, 0.0, LINE) == LINE.high
    assert furthest(lambda at: 1.0, 0.0, LINE) is None
    assert furthest(lambda at: at + 19.9, 4.0, LINE) == pytest.approx(-19.95, abs=0.1)
    tries: list[float] = []
    furthest(lambda at: tries.append(at) or at, 1.0, LINE)
    assert len(tries) <= LINE.trials and len(tries) == len(set(tries))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ({"dssim": 0.9995}, "nrmse"),
        ({"pearson": 0.9999}, "rel"),
        ({"ssim": 0.999}, "abs"),
        ({"spectrum": (0.01, 16)}, "nrmse"),
        ({"pearson": 0.999, "ssim": 0.995}, "nrmse"),
    ],
)
def test_targets_are_reached_and_hardly_more(target: dict, kind: str) -> None:
    field = waves((6, 48, 64))
    field[:, 10:14, 20:30] = 1e20
    found = fieldpress.suggest(field, kind=kind, **target, **QUICK)
    assert found.bound.kind == kind and len(found.tried) <= _suggest.SAMPLE_TRIALS + 1
    there = fieldpress.assess(field, found.stream)
    own = {"dssim": there.dssim, "ssim": there.ssim, "pearson": np.nanmin(there.scores.pearson)}
    for name, value in target.items():
        if name == "spectrum":
            assert there.spectrum.deviation(16) <= 0.01
        else:
            assert own[name] >= value
            assert found.scores[f"{name}={value:g}"] == pytest.approx(own[name], abs=1e-9)
    # Compressing under the bound gives the same stream.
    assert fieldpress.compress(field, **{kind: found.bound.value}, **QUICK) == found.stream
    looser = fieldpress.assess(field, fieldpress.compress(field, **{kind: 1.5 * found.bound.value}, **QUICK))
    reached = [
        looser.spectrum.deviation(16) <= 0.01,
        looser.dssim >= target.get("dssim", 0),
        looser.ssim >= target.get("ssim", 0),
        np.nanmin(looser.scores.pearson) >= target.get("pearson", 0),
    ]
    assert not all(reached if "spectrum" in target else reached[1:])


def test_large_fields_are_searched_on_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    field = waves((60, 40, 48))
    monkeypatch.setattr(_suggest, "SAMPLE", 3 * 8 * 40 * 48)
    sizes = [one.shape for one in _suggest._samples(field)]
    assert sizes == [(8, 40, 48)] * 3
    found = fieldpress.suggest(field, pearson=0.99999, **QUICK)
    assert len(found.tried) <= _suggest.WHOLE_TRIALS + 1
    assert found.scores["pearson=0.99999"] >= 0.99999
    assert np.nanmin(fieldpress.assess(field, found.stream).scores.pearson) >= 0.99999


def test_what_no_bound_reaches_is_lossless(monkeypatch: pytest.MonkeyPatch) -> None:
    field = waves((3, 32, 32))
    monkeypatch.setattr(_suggest, "TIGHTEST", 1e-3)
    found = fieldpress.suggest(field, dssim=0.99999, **QUICK)
    assert found.bound == fieldpress.Bound("lossless", 0.0)
    assert np.array_equal(fieldpress.decompress(found.stream), field)
    assert found.tried
    constant = fieldpress.suggest(np.full((3, 32, 32), 4.0), dssim=0.9995, **QUICK)
    assert constant.bound.kind == "lossless"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "no target"),
        ({"dssim": 1.0}, "between 0 and 1"),
        ({"spectrum": (0.01, 0)}, "wavenumbers"),
        ({"spectrum": (0.01, 999)}, "wavenumbers 1 to 24"),
        ({"pearson": 0.9, "kind": "psnr"}, "psnr"),
    ],
)
def test_targets_that_make_no_sense(arguments: dict, why: str) -> None:
    with pytest.raises(fieldpress.InvalidArgument, match=why):
        fieldpress.suggest(waves((2, 40, 48)), **arguments, **QUICK)


def test_fields_without_a_score() -> None:
    with pytest.raises(fieldpress.InvalidArgument, match="4x30 points hold no window"):
        fieldpress.suggest(waves((5, 4, 30)), dssim=0.9, **QUICK)
    with pytest.raises(fieldpress.InvalidArgument, match="differ"):
        fieldpress.suggest(np.ones((5, 4, 30)), pearson=0.9, **QUICK)


@pytest.mark.parametrize("text", ["dssim", "dssim=", "dssim=x", "mse=0.1", "spectrum=0.01@50", "pearson=0.9@k3", "=1"])
def test_targets_as_text(text: str) -> None:
    with pytest.raises(fieldpress.InvalidArgument):
        _suggest.Target.parse(text)
    assert str(_suggest.Target.parse("spectrum=0.01@k50")) == "spectrum=0.01@k50"


@given(st.floats(1e-9, 1, exclude_max=True))
def test_bounds_have_two_digits(value: float) -> None:
    rounded = _suggest._rounded(value)
    assert rounded <= value * (1 + 1e-8) and rounded > 0.9 * value
    assert _suggest._rounded(rounded) == rounded == float(f"{rounded:.1e}")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", waves((4, 24, 24)))
    command = ["suggest", str(tmp_path / "x.npy"), "--target", "pearson=0.9999", "--option", "effort=0"]
    assert __main__.main([*command, "-o", str(tmp_path / "x.fp"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    info = fieldpress.inspect((tmp_path / "x.fp").read_bytes())
    assert str(info.bound) == said["bound"] and info.stream_bytes == said["stream_bytes"]
    assert said["scores"]["pearson=0.9999"] >= 0.9999
    assert __main__.main(command) == 0 and "bound     nrmse=" in capsys.readouterr().out
    assert __main__.main([*command, "--target", "beauty=1"]) == 2
    assert __main__.main(["suggest", "nothing.npy", "--target", "ssim=0.9"]) == 3


@pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names the command-line tool")
def test_tool(tmp_path: Path) -> None:
    values = waves((5, 24, 32))
    values[:, 3:5, 4:9] = -99
    values.tofile(tmp_path / "x.f32")

    def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"FIELDPRESS_PYTHON": sys.executable}
        return subprocess.run(
            [TOOL, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    raw = ["x.f32", "--dims", "5x24x32", "--type", "f32", "--effort", "0", "--fill-value", "-99"]
    done = tool("suggest", *raw, "--target", "dssim=0.999", "--kind", "rel", "-o", "x.fp", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    found = fieldpress.assess(values, (tmp_path / "x.fp").read_bytes(), fill_value=-99)
    assert found.dssim >= 0.999 and said["scores"]["dssim=0.999"] == pytest.approx(found.dssim)
    assert said["bound"].startswith("rel=") and found.errors.masked == 5 * 2 * 5
    assert tool("suggest", *raw, "--target", "dssim=2").returncode == 2
    assert tool("suggest", *raw, "--target", "dssim=0.9", "--kind", "psnr").returncode == 2
    assert tool("suggest", "none.npy", "--target", "dssim=0.9").returncode == 3
