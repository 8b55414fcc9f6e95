"""Archives from Python."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import waves

import fieldpress

STEPS = 7
QUICK = {"effort": 0, "threads": 1, "fm": False, "sync": False}


@pytest.fixture(scope="module")
def fields() -> dict[str, np.ndarray]:
    return {"t": waves((STEPS, 24, 32)), "u": waves((STEPS, 3, 24, 32), "f8", seed=2)}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, np.ndarray]) -> Path:
    path = tmp_path_factory.mktemp("archive") / "run.fpa"
    latitudes = np.linspace(-60, 60, 24)
    with fieldpress.create(
        path, window=3, attrs={"title": "a run", "number": 7}, time_units="days since 2000-01-01", **QUICK
    ) as run:
        run.define("t", (24, 32), dims=("lat", "lon"), attrs={"units": "K", "levels": [1, 2], "factor": 0.5})
        run.define("u", (3, 24, 32), "f8", dims=("level", "lat", "lon"))
        run.coordinate("lat", latitudes, {"units": "degrees_north"})
        for step in range(STEPS):
            with run.step(step * 0.5):
                run.put("t", fields["t"][step], rel=1e-3)
                # In two boxes, as two ranks would.
                run.put("u", fields["u"][step, :, :10], abs=1e-3)
                run.put("u", fields["u"][step, :, 10:], start=(0, 10, 0), abs=1e-3)
        assert run.committed_steps == 6
    return path


def test_what_an_archive_says(path: Path) -> None:
    with fieldpress.open(path) as run:
        assert list(run) == ["t", "u"] and run.steps == STEPS and "t" in run
        np.testing.assert_array_equal(run.time, np.arange(STEPS) * 0.5)
        assert run.attrs == {"title": "a run", "number": 7}
        assert run.time_attrs == {"units": "days since 2000-01-01"}
        assert run.dims == {"time": STEPS, "lat": 24, "lon": 32, "level": 3}
        np.testing.assert_array_equal(run.coords["lat"], np.linspace(-60, 60, 24))
        t = run["t"]
        assert (t.shape, t.dtype, t.dims, t.ndim) == ((STEPS, 24, 32), np.float32, ("time", "lat", "lon"), 3)
        assert t.attrs["units"] == "K" and t.attrs["factor"] == 0.5 and t.attrs["levels"].tolist() == [1, 2]
        assert t.nbytes == STEPS * 24 * 32 * 4 > t.stream_bytes > 0
        assert t.bound(0) == fieldpress.Bound("rel", 1e-3) and 0 < t.nrmse(-1) <= 1e-3
        assert run.commits == [range(0, 3), range(3, 6), range(6, 7)]
        assert "u(time: 7, level: 3, lat: 24, lon: 32) float64" in repr(run)


def test_bounds_hold(path: Path, fields: dict[str, np.ndarray]) -> None:
    with fieldpress.open(path) as run:
        for steps in run.commits:
            window = fields["t"][steps.start : steps.stop]
            assert fieldpress.quality(window, run["t"][steps.start : steps.stop]).holds(rel=1e-3)
        assert fieldpress.quality(fields["u"], np.asarray(run["u"])).holds(abs=1e-3)


@pytest.mark.parametrize(
    "index",
    [
        np.s_[2:6, 10:20],
        np.s_[-1],
        np.s_[::3],
        np.s_[::-2, :, 5],
        np.s_[1, 2, 3],
        np.s_[..., 0],
        np.s_[3:3],
        np.s_[4, ::2],
    ],
    ids=str,
)
def test_slices_are_as_in_numpy(path: Path, index: Any) -> None:
    with fieldpress.open(path) as run:
        for variable in run.values():
            np.testing.assert_array_equal(variable[index], variable[...][index])


def test_points_that_were_not_put(tmp_path: Path) -> None:
    path = tmp_path / "run.fpa"
    with fieldpress.create(path, **QUICK) as run:
        run.define("a", (8, 8))
        run.define("b", (8, 8))
        for step in range(2):
            with run.step(step):
                run.put("a", np.ones((4, 8), "f4"), start=(4, 0), lossless=True)
                if step:
                    run.put("b", np.ones((8, 8), "f4"), lossless=True)
    with fieldpress.open(path) as run:
        assert np.isnan(run["a"][0, :4]).all() and (run["a"][:, 4:] == 1).all()
        assert np.isnan(run["b"][0]).all() and run["b"].bound(0) is None
        assert run["a"].dims == run["b"].dims == ("time", "y", "x")
    with fieldpress.open(path, missing=None) as run, pytest.raises(fieldpress.InvalidArgument, match="were never put"):
        run["a"][0]


def test_five_axes(tmp_path: Path) -> None:
    values = waves((2, 2, 3, 8, 8))
    with fieldpress.create(tmp_path / "run.fpa", **QUICK) as run:
        run.define("a", values.shape)
        for step in range(3):
            with run.step(step):
                run.put("a", values + np.float32(step), lossless=True)
    with fieldpress.open(tmp_path / "run.fpa") as run:
        np.testing.assert_array_equal(run["a"][1:, 1], np.stack([values[1] + np.float32(1), values[1] + np.float32(2)]))


def test_names_of_dimensions_do_not_collide(tmp_path: Path) -> None:
    with fieldpress.create(tmp_path / "run.fpa", **QUICK) as run:
        for name, shape in (("a", (8, 8)), ("b", (8, 9)), ("c", (2, 8, 8)), ("time", (4,))):
            run.define(name, shape)
        with run.step(0):
            run.put("a", np.ones((8, 8), "f4"), lossless=True)
    with fieldpress.open(tmp_path / "run.fpa") as run:
        assert run["a"].dims == ("time", "y", "x") and run["b"].dims == ("time", "y", "x_9")
        assert run["c"].dims == ("time", "z", "y", "x") and run["time"].dims == ("time", "x_4")


def test_appending(tmp_path: Path) -> None:
    path = tmp_path / "run.fpa"
    for mode in ("create", "append"):
        with fieldpress.create(path, mode=mode, **QUICK) as run:
            run.define("a", (8,))
            with run.step(1.0):
                run.put("a", np.arange(8, dtype="f4"), lossless=True)
    with fieldpress.open(path) as run:
        assert run["a"].shape == (2, 8)
    with pytest.raises(fieldpress.IoError):
        fieldpress.create(path)


def test_errors_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "run.fpa"
    run = fieldpress.create(path, window=2, **QUICK)
    run.define("a", (8, 8))
    with pytest.raises(fieldpress.InvalidArgument, match="expected 2 names"):
        run.define("b", (8, 8), dims=("x",))
    with pytest.raises(fieldpress.InvalidArgument, match="defined are: a"):
        run.put("c", np.ones((8, 8), "f4"), lossless=True)
    with pytest.raises(fieldpress.InvalidArgument, match="begin one first"):
        run.put("a", np.ones((8, 8), "f4"), lossless=True)
    with pytest.raises(fieldpress.FieldpressError):
        run.flush()  # all get the error when the step ends
    with run.step(0):
        run.put("a", np.ones((8, 8), "f4"), lossless=True)
    with pytest.raises(KeyError), run, run.step(1):
        run.put("a", np.ones((8, 8), "f4"), lossless=True)
        raise KeyError("the simulation's own")
    with pytest.raises(fieldpress.InvalidArgument, match="is closed"):
        run.flush()
    with fieldpress.open(path) as archive:
        assert archive.steps == 1


def test_errors_while_reading(tmp_path: Path, path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fieldpress.open(tmp_path / "none.fpa")
    (tmp_path / "other").write_bytes(b"something else" * 1000)
    with pytest.raises(fieldpress.CorruptError):
        fieldpress.open(tmp_path / "other")
    run = fieldpress.open(path)
    variable = run["t"]
    with pytest.raises(KeyError):
        run["none"]
    with pytest.raises(IndexError):
        variable[STEPS]
    run.close()
    with pytest.raises(fieldpress.InvalidArgument, match="is closed"):
        variable[0]


def test_archives_are_pickled(path: Path) -> None:
    with fieldpress.open(path, threads=1) as run:
        again = pickle.loads(pickle.dumps(run["t"]))
        np.testing.assert_array_equal(again[2], run["t"][2])
    assert os.fspath(path) in repr(again._archive)
