"""Archives as NetCDF by the tool, and the same through the engine of xarray: dimensions, coordinates, times."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray
from conftest import QUICK, waves

import fieldpress

TOOL = os.environ.get("FIELDPRESS_TOOL", "")

pytestmark = pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names the command-line tool")


def extract(archive: Path, out: Path, *arguments: object) -> xarray.Dataset:
    command = [TOOL, "extract", str(archive), "-o", str(out), *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120)
    return xarray.open_dataset(out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.fpa"
    fields = waves((9, 20, 30))
    with fieldpress.create(
        path,
        window=4,
        time_units="days since 2000-01-01",
        calendar="noleap",
        attrs={"title": "a run"},
        sync=False,
        **QUICK,
    ) as run:
        run.define("t", (20, 30), dims=("lat", "lon"), attrs={"units": "K"})
        run.define("p", (20, 30), dims=("lat", "lon"), attrs={"units": "Pa"})
        run.define("w", (5, 20, 30), dims=("lev", "lat", "lon"))
        run.define("n", (7,))
        run.coordinate("lat", np.linspace(-57, 57, 20), {"units": "degrees_north"})
        run.coordinate("lev", np.arange(5) ** 2, {"positive": "up"})
        run.coordinate("area", np.arange(600).reshape(20, 30), {"units": "m2"}, dims=("lat", "lon"))
        for step, values in enumerate(fields):
            with run.step(2 * step):
                run.put("t", values, abs=0.1)
                run.put("p", values * 2, abs=0.1)
                run.put("w", np.stack([values] * 5), abs=0.1)
                run.put("n", np.arange(7.0, dtype="f4"), lossless=True)
    return path


def test_netcdf_is_what_the_engine_gives(run: Path, tmp_path: Path) -> None:
    with extract(run, tmp_path / "run.nc") as netcdf, xarray.open_dataset(run, engine="fieldpress") as direct:
        assert netcdf.attrs.pop("Conventions") == "CF-1.8"
        netcdf.time.attrs.pop("axis")
        xarray.testing.assert_identical(netcdf.compute(), direct.compute())
        assert set(netcdf.coords) == {"time", "lat", "lev", "area"}
        assert netcdf.t.dims == netcdf.p.dims == ("time", "lat", "lon")
        assert netcdf.time.dtype == direct.time.dtype  # dates of a calendar without leap days


def test_times_without_units_select(run: Path, tmp_path: Path) -> None:
    with extract(run, tmp_path / "run.nc") as _:
        pass
    with xarray.open_dataset(tmp_path / "run.nc", decode_times=False) as netcdf:
        assert float(netcdf.t.sel(time=8.0).isel(lat=3, lon=4)) == float(netcdf.t[4, 3, 4])
        assert netcdf.encoding["unlimited_dims"] == {"time"}


def test_boxes_keep_their_coordinates(run: Path, tmp_path: Path) -> None:
    box = ("--variable", "t", "--variable", "p", "--start", "3,4", "--count", "5,6", "--steps", "2..5")
    with extract(run, tmp_path / "box.nc", *box) as part, xarray.open_dataset(run, engine="fieldpress") as whole:
        expected = whole[["t", "p"]].isel(time=slice(2, 5), lat=slice(3, 8), lon=slice(4, 10))
        for name in ("t", "p", "lat", "area"):
            np.testing.assert_array_equal(part[name], expected[name])


def test_names_and_sizes_that_disagree(tmp_path: Path) -> None:
    path = tmp_path / "odd.fpa"
    with fieldpress.create(path, sync=False, **QUICK) as run:
        run.define("a", (4, 6), dims=("y", "x"))
        run.define("b", (5, 6), dims=("y", "x"))
        run.define("time", (3,))
        run.coordinate("y", np.arange(4))
        run.coordinate("q", np.arange(3))
        with run.step(0):
            for name, shape in {"a": (4, 6), "b": (5, 6), "time": (3,)}.items():
                run.put(name, waves(shape), abs=0.1)
    with extract(path, tmp_path / "odd.nc") as netcdf:
        assert netcdf.a.dims == ("step_time", "y", "x") and netcdf.b.dims == ("step_time", "y_5", "x")
        assert "y" in netcdf.coords and "q" not in netcdf
    with pytest.raises(fieldpress.InvalidArgument), fieldpress.create(tmp_path / "bad.fpa", **QUICK) as run:
        run.coordinate("area", np.zeros((2, 3)), dims=("y",))
