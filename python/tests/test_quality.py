"""`fieldpress.assess` and `fieldpress.report` against definitions, other programs, and what must not matter."""

import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, waves
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fieldpress
from fieldpress import __main__, _similarity

#: Everything of a page: how its pictures are in it.
PICTURE = re.compile(r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)">')


def frame(holes: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A frame like temperatures, and one with noise on it."""
    rng = np.random.default_rng(3)
    row, column = np.meshgrid(np.arange(40), np.arange(56), indexing="ij")
    x = 280 + 12 * np.sin(row * 0.13) * np.cos(column * 0.21) + rng.normal(0, 0.2, row.shape)
    y = x + rng.normal(0, 0.02, row.shape)
    if holes:
        hole = np.zeros(x.shape, bool)
        hole[10:18, 20:33] = hole[3, 3] = True
        x, y = (np.where(hole, np.nan, v) for v in (x, y))
    return x, y


@pytest.mark.parametrize(
    ("holes", "dssim", "pearson", "nrmse"),
    [
        (False, 0.9997829570331256, 0.9999944435432754, 0.0008262659548960515),
        (True, 0.9997795504618386, 0.9999942337568138, 0.0008257691888285632),
    ],
)
def test_scores_are_those_of_ldcpy(holes: bool, dssim: float, pearson: float, nrmse: float) -> None:
    # As ldcpy 0.20 says of these frames: ssim_fp, pearson_correlation_coefficient, n_rms.
    found = fieldpress.assess(*frame(holes))
    assert found.dssim == pytest.approx(dssim, abs=1e-12)
    assert found.errors.pearson == pytest.approx(pearson, abs=1e-12)
    assert found.scores.pearson[0] == pytest.approx(pearson, abs=1e-12)
    assert found.errors.nrmse == pytest.approx(nrmse, rel=1e-12)
    if not holes:
        assert found.scores.relative_share[0] == 0.171875
        assert found.ks[1] == pytest.approx(1, abs=1e-12)


def dssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Baker, Pinard and Hammerling's, window by window, as ldcpy's slow variant has it."""
    low, high = min(np.nanmin(x), np.nanmin(y)), max(np.nanmax(x), np.nanmax(y))
    a, b = (np.round((v - low) / (high - low) * 255) / 255 for v in (x, y))
    side = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights, scores = np.outer(side, side), []
    for i in range(5, x.shape[0] - 5):
        for j in range(5, x.shape[1] - 5):
            if np.isnan(x[i, j]):
                continue
            p, q = (v[i - 5 : i + 6, j - 5 : j + 6] for v in (a, b))
            there = ~np.isnan(p)
            w = weights[there] / weights[there].sum()
            p, q = p[there], q[there]
            mean_p, mean_q = (w * p).sum(), (w * q).sum()
            spread = (w * p * p).sum() - mean_p**2 + (w * q * q).sum() - mean_q**2
            together = (w * p * q).sum() - mean_p * mean_q
            scores.append(
                (2 * mean_p * mean_q + 1e-8) / (mean_p**2 + mean_q**2 + 1e-8) * (2 * together + 1e-8) / (spread + 1e-8)
            )
    return float(np.mean(scores))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(11, 24), st.integers(11, 24), st.floats(0, 0.3), st.floats(1e-4, 0.5))
def test_dssim_is_what_its_definition_says(seed: int, rows: int, columns: int, share: float, noise: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).cumsum(0).cumsum(1)
    x[rng.random(x.shape) < share] = np.nan
    x[5, 5] = 0.0
    y = x + noise * np.nanstd(x) * rng.normal(size=x.shape)
    assert _similarity.dssim(x, y, np.isfinite(x)) == pytest.approx(dssim_by_definition(x, y), abs=1e-9)


shapes = st.lists(st.integers(1, 14), min_size=1, max_size=5).filter(lambda shape: math.prod(shape) <= 4000)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shapes, st.sampled_from(["f4", "f8"]), st.integers(0, 2**31), st.floats(0, 1), st.sampled_from([1e-9, 1, 1e9]))
def test_any_field_is_assessed(shape: list[int], dtype: str, seed: int, holes: float, unit: float) -> None:
    rng = np.random.default_rng(seed)
    x = (unit * rng.normal(size=shape)).astype(dtype)
    x[rng.random(shape) < holes] = rng.choice([np.nan, np.inf, -999.0])
    valid = np.isfinite(x) & (x != -999)
    same = fieldpress.assess(x, x, fill_value=-999)
    assert same.errors.nrmse == 0 and same.max_relative_error == 0 and same.lost == 0
    assert np.isnan(same.scores.dssim).all() or same.dssim == pytest.approx(1)
    assert not valid.any() or (same.ks[1] == 1 and same.means[0] == same.means[1])
    assert same.passes and same.spectrum.deviation() == 0 and not same.autocorrelation
    y = np.where(valid, x + (0.1 * unit * rng.normal(size=shape)).astype(dtype), x).astype(dtype)
    found = fieldpress.assess(x, y, fill_value=[-999])
    nrmse = found.errors.nrmse
    assert json.loads(json.dumps(found.as_dict()))["nrmse"] == (nrmse if math.isfinite(nrmse) else None)
    assert found.histogram[0].sum() == valid.sum() == found.errors.points
    assert len(found.scores) == math.prod(shape[:-2])
    for one in found.autocorrelation.values():
        assert all(abs(value) < 1e3 for value in one.values())


def test_units_do_not_matter() -> None:
    x = waves((3, 20, 24), "f8")
    y = x + np.random.default_rng(2).normal(0, 0.01, x.shape)
    here, there = fieldpress.assess(x, y), fieldpress.assess(x * 2.0**60, y * 2.0**60)
    for key in ("dssim", "ssim", "pearson", "ks_p", "relative_share"):
        np.testing.assert_allclose(getattr(there.scores, key), getattr(here.scores, key), rtol=1e-9)
    assert there.gradient_errors == pytest.approx(here.gradient_errors)
    np.testing.assert_allclose(there.spectrum.original, here.spectrum.original * 2.0**120, rtol=1e-9)


def test_spectra_find_waves() -> None:
    side = 64
    row, column = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    x = 5 + np.cos(2 * np.pi * 9 * column / side) + 0.1 * np.cos(2 * np.pi * (12 * row + 16 * column) / side)
    of = fieldpress.assess(x, 5 + 1.01 * (x - 5)).spectrum
    assert of.wavenumber[np.argmax(of.original)] == 9
    beyond = np.where(of.wavenumber > 14, of.original, 0)
    assert of.wavenumber[np.argmax(beyond)] == 20
    assert of.deviation() == pytest.approx(1.01**2 - 1, rel=1e-6)
    assert of.deviation(9) == pytest.approx(1.01**2 - 1, rel=1e-6)
    with pytest.raises(fieldpress.InvalidArgument, match="wavenumbers 1 to 32"):
        of.deviation(33)


def test_power_is_kept() -> None:
    # Parseval: the power over all wavenumbers is the variance under the window.
    x = np.random.default_rng(1).normal(size=(2, 48, 48))
    found = fieldpress.assess(x, x)
    assert 0.05 < found.spectrum.original.mean() * 48 * 48 < 0.5
    # Noise has as much of it at every wavenumber.
    of = found.spectrum.original[4:]
    assert of.max() < 2 * of.min()


def test_autocorrelation_tells_noise_from_structure() -> None:
    x = np.zeros((4, 64, 64))
    noise = np.random.default_rng(4).normal(size=x.shape)
    white = fieldpress.assess(x + np.arange(64), x + np.arange(64) + noise).autocorrelation
    assert set(white) == {0, 1, 2} and list(white[0]) == [1, 2]
    assert all(abs(value) < 0.05 for axis in (1, 2) for value in white[axis].values())
    stripes = np.broadcast_to((-1.0) ** np.arange(64), x.shape)
    striped = fieldpress.assess(x, x + stripes).autocorrelation
    assert striped[2][1] == pytest.approx(-1) and striped[2][2] == pytest.approx(1)
    assert striped[1][1] == pytest.approx(1)


def test_zonal_means_and_weights() -> None:
    latitudes = np.linspace(-60, 60, 5)
    x = np.broadcast_to(np.arange(5.0)[:, None], (3, 5, 8)).copy()
    y = x.copy()
    y[:, 2] += 0.5
    y[0, 4, 0] = x[0, 4, 0] = np.nan
    of = fieldpress.assess(x, y, latitudes=latitudes).zonal
    assert of is not None
    np.testing.assert_allclose(of.original, np.arange(5))
    np.testing.assert_allclose(of.decoded - of.original, [0, 0, 0.5, 0, 0])
    counts = np.array([24, 24, 24, 24, 23]) * np.cos(np.radians(latitudes))
    assert of.global_means[0] == pytest.approx((counts * np.arange(5)).sum() / counts.sum())
    for wrong in (latitudes[:-1], latitudes * 2, [latitudes]):
        with pytest.raises(fieldpress.InvalidArgument, match="latitudes"):
            fieldpress.assess(x, y, latitudes=wrong)


def test_what_is_lost_is_said() -> None:
    x = waves((12, 16))
    y = x.copy()
    y[3, 4] = np.nan
    found = fieldpress.assess(x, y)
    assert found.lost == 1 and not found.passes and "1 values were lost" in found.verdict
    assert found.errors.max_abs_error == math.inf
    assert found.as_dict()["errors"]["max_abs_error"] is None


def test_streams_bring_their_sentinels() -> None:
    x = waves((8, 32, 32))
    x[:, 5:9, 5:9] = 1e20
    found = fieldpress.assess(x, fieldpress.compress(x, nrmse=1e-3, **QUICK))
    assert found.errors.masked == 8 * 16 and found.errors.range < 100
    assert found.errors.nrmse <= 1e-3 and found.lost == 0
    assert fieldpress.assess(x, x).errors.masked == 0


def test_criteria_are_judged_in_the_worst_frame() -> None:
    x = waves((6, 32, 40), "f8")
    y = x + 1e-6
    y[4] += np.random.default_rng(5).normal(0, 0.5, y[4].shape)
    found = fieldpress.assess(x, y)
    judged = {one.criterion.key: one for one in found.judgements}
    assert not found.passes and judged["dssim"].frame == judged["pearson"].frame == 4
    assert not judged["dssim"].passes and judged["dssim"].value == found.dssim
    assert "in frame 4" in found.verdict and "DSSIM ≥ 0.9995" in found.verdict
    good = fieldpress.assess(x, x + 1e-7)
    assert good.passes and good.verdict == "All of the 4 criteria that apply hold, in every frame."


def page_of(path: Path) -> tuple[str, dict[str, bytes]]:
    """A page's text without its pictures, and these by caption."""
    text = path.read_text()
    pictures = {alt: b64decode(data) for alt, data in PICTURE.findall(text)}
    return PICTURE.sub("", text), pictures


@pytest.mark.parametrize("shape", [(5, 24, 32), (24, 32), (40,), (2, 3, 12, 700), (6, 5, 8)])
def test_pages_stand_alone(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = waves(shape)
    x.flat[7:11] = np.nan
    found = fieldpress.report(x, fieldpress.compress(x, rel=1e-3, **QUICK), tmp_path / "page.html", title="a <b> & c")
    text, pictures = page_of(tmp_path / "page.html")
    assert "a &lt;b&gt; &amp; c" in text and "bound rel=0.001" in text
    assert "http" not in text and "src=" not in text and "url(" not in text
    assert len(pictures) == 4 + (len(found.scores) > 1 and any(one.applies for one in found.judgements))
    for picture in pictures.values():
        assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_pages_have_what_is_known(tmp_path: Path) -> None:
    x = waves((3, 24, 32))
    found = fieldpress.report(
        x, x + np.float32(0.001), tmp_path / "page.html", units="K", dims=("time", "lat", "lon"),
        latitudes=np.linspace(80, -80, 24), longitudes=np.arange(32) * 11.25,
    )  # fmt: skip
    text, pictures = page_of(tmp_path / "page.html")
    assert "zonal means, largest difference" in text and f"{found.errors.range:.6g} K" in text
    assert len(pictures) == 6
    assert found.verdict.replace("≤", "&le;") in text.replace("≤", "&le;")


def test_pages_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    x = waves((4, 12, 12))
    with pytest.raises(FileNotFoundError):
        fieldpress.report(x, x, tmp_path / "nowhere" / "page.html")
    with pytest.raises(fieldpress.InvalidArgument):
        fieldpress.report(x, x[:2], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = waves((4, 16, 16))
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "x.fp").write_bytes(fieldpress.compress(x, nrmse=1e-3, **QUICK))
    names = [str(tmp_path / name) for name in ("x.npy", "x.fp")]
    assert __main__.main(["report", *names, "-o", str(tmp_path / "x.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nrmse"] <= 1e-3
    assert "bound nrmse=0.001" in (tmp_path / "x.html").read_text()
    assert __main__.main(["report", names[0], names[0], "-o", str(tmp_path / "same.html")]) == 0
    assert "All of the" in capsys.readouterr().out
    for wrong, code in (["nothing.npy", names[1]], 3), ([names[0], "nothing.fp"], 3), (names[::-1], 3):
        assert __main__.main(["report", *wrong, "-o", str(tmp_path / "no.html")]) == code
        assert capsys.readouterr().err.startswith("fieldpress: ")
    assert __main__.main(["report", *names, "-o", str(tmp_path / "nowhere" / "x.html")]) == 1
    assert not (tmp_path / "no.html").exists()


@pytest.mark.parametrize("missing", ["scipy", "skimage", "matplotlib"])
def test_missing_packages_are_named(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
import fieldpress
fieldpress.quality([1.0], [1.0])
try:
    fieldpress.report
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{missing}" in done.stdout and "pip install 'fieldpress[quality]'" in done.stdout, done.stdout + done.stderr
