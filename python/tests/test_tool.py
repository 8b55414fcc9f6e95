"""What the command-line tool lets the package do: pages of ``verify --report``."""

import os
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from conftest import waves

import fieldpress

TOOL = os.environ.get("FIELDPRESS_TOOL", "")

pytestmark = pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names the command-line tool")


def tool(folder: Path, *arguments: object, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FIELDPRESS_PYTHON": python}
    command = [TOOL, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a NetCDF file, whose latitudes go south, and a stream of its variable."""
    values = waves((5, 24, 32))
    values[:, 3:5, 4:9] = -99
    with netCDF4.Dataset(tmp_path / "run.nc", "w") as file:
        for name, coordinate, units in (
            ("time", np.arange(5), "days since 2000-01-01"),
            ("lat", np.linspace(80, -80, 24), "degrees_north"),
            ("lon", np.arange(32) * 11.25, "degrees_east"),
        ):
            file.createDimension(name, len(coordinate))
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = coordinate
            variable.units = units
        wind = file.createVariable("wind", "f4", ("time", "lat", "lon"), fill_value=-99)
        wind[:] = values
        wind.units = "m s-1"
    done = tool(tmp_path, "compress", "run.nc:wind", "-o", "wind.fp", "--bound", "rel=1e-3", "--fm", "off")
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_verify_writes_a_page(folder: Path) -> None:
    done = tool(folder, "verify", "run.nc:wind", "wind.fp", "--report", "wind.html")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.rstrip().endswith("yes")
    text = (folder / "wind.html").read_text()
    assert "The bound rel=0.001 holds." in text and "run.nc:wind" in text
    assert "1e-4" in text and "DSSIM ≥ 0.9995" in text and " m s-1" in text
    assert "zonal means, largest difference" in text
    assert f"{5 * 2 * 5}" in text.split("points with data, without")[1][:80]


def test_pages_are_written_where_the_bound_does_not_hold(folder: Path) -> None:
    values = waves((6, 16, 20))
    values.tofile(folder / "x.f32")
    shape = ["--dims", "6x16x20", "--type", "f32"]
    assert tool(folder, "compress", "x.f32", "-o", "x.fp", *shape, "--bound", "abs=1e-3").returncode == 0
    (values + np.float32(1)).tofile(folder / "other.f32")
    done = tool(folder, "verify", "other.f32", "x.fp", "--report", "x.html", "--json")
    assert done.returncode == 4 and '"holds": false' in done.stdout
    assert "The bound abs=0.001 DOES NOT hold." in (folder / "x.html").read_text()


def test_variables_of_archives_have_pages(folder: Path) -> None:
    values = waves((5, 24, 32))
    np.save(folder / "t.npy", values)
    with fieldpress.create(folder / "run.fpa", window=2, fm="off", time_units="days since 2000-01-01") as run:
        run.define("t", (24, 32), dtype="f4", dims=("lat", "lon"), attrs={"units": "K"})
        run.coordinate("lat", np.linspace(80, -80, 24), {"units": "degrees_north"})
        for time, step in enumerate(values):
            with run.step(float(time)):
                run.put("t", step, rel=1e-3)
    done = tool(folder, "verify", "t.npy", "run.fpa", "--variable", "t", "--report", "t.html")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.rstrip().endswith("yes")
    text = (folder / "t.html").read_text()
    assert "The bound rel=0.001 holds." in text and "run.fpa: t" in text and " K" in text
    assert "zonal means, largest difference" in text
    # One step, and a bound over others, too, which cannot be told of it.
    with fieldpress.create(folder / "mean.fpa", window=5, fm="off") as run:
        run.define("t", (24, 32), dtype="f4")
        for time, step in enumerate(values):
            with run.step(float(time)):
                run.put("t", step, nrmse=1e-3)
    done = tool(folder, "verify", "t.npy", "mean.fpa", "--step", "3", "--report", "mean.html")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "as far as it can be told" in done.stdout and "not told" in done.stdout
    assert "holds." not in (folder / "mean.html").read_text().split("<table")[0]


def test_failures_are_said(folder: Path) -> None:
    verify = ["verify", "run.nc:wind", "wind.fp", "--report"]
    before = sorted(folder.iterdir())
    done = tool(folder, *verify, "nowhere/wind.html")
    assert done.returncode == 1 and "No such file" in done.stderr
    # A Python of the system, which has no packages.
    bare = tool(folder, *verify, "wind.html", python="/usr/bin/env")
    assert bare.returncode == 1 and "pip install 'fieldpress[quality]'" in bare.stderr
    assert tool(folder, "verify", "run.fpa", "--report", "x.html").returncode == 2
    assert sorted(folder.iterdir()) == before
