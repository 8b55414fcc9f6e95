"""Whole NetCDF files through the command-line tool, read as analysts do: by netCDF4 and xarray with the HDF5 plugin."""

import os
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray

import fieldpress

TOOL = os.environ.get("FIELDPRESS_TOOL", "")
ROOT = Path(__file__).parents[2]
CESM = sorted((ROOT / "data/sources").glob("ldcpy-*/data/cam-fv/orig.*.nc"))

pytestmark = [
    pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names the command-line tool"),
    pytest.mark.skipif(not fieldpress.hdf5.activate(), reason="no HDF5 plugin; FIELDPRESS_HDF5_PLUGIN names one"),
]


def tool(*arguments: object) -> str:
    command = [TOOL, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def everything(path: Path, form: str, seed: int = 1) -> None:
    """A file with every kind of thing that a form of NetCDF has, as far as models write it."""
    rng = np.random.default_rng(seed)
    is_new = form == "NETCDF4"
    squeeze = {"zlib": True, "shuffle": True, "complevel": 2} if is_new else {}
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.title, file.numbers, file.real = "every kind", np.arange(3, dtype="i4"), np.float32(1.5)
        for name, size in {"time": None, "lat": 40, "lon": 52, "lev": 5, "bnds": 2, "len": 8}.items():
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.bounds = "days since 2000-01-01", "time_bnds"
        bounds = file.createVariable("time_bnds", "f8", ("time", "bnds"))
        for name, size in (("lat", 40), ("lon", 52), ("lev", 5)):
            file.createVariable(name, "f4", (name,))[:] = np.linspace(0, 1, size)
        file.createVariable("lat2d", "f8", ("lat", "lon"))[:] = rng.normal(size=(40, 52))
        y, x = np.mgrid[0:40, 0:52]
        step = np.arange(20)[:, None, None]
        smooth = np.sin(x / 9 + step / 5) + np.cos(y / 7 - step / 9)
        ta = file.createVariable("ta", "f4", ("time", "lat", "lon"), fill_value=np.float32(1e20), **squeeze)
        ta.coordinates, ta.units, ta.missing_value = "lat2d", "K", np.float32(1e20)
        values = (smooth + 280).astype("f4")
        values[:, 3:6, 7:9] = 1e20
        ta[:] = values
        ua = file.createVariable("ua", "f8", ("time", "lev", "lat", "lon"))
        ua[:] = smooth[:, None] * np.arange(1, 6)[None, :, None, None]
        file.createVariable("count", "i4", ("time", "lat"), **squeeze)[:] = rng.integers(0, 9, (20, 40))
        letters = np.frombuffer(b"abcdefgh" * 40, "S1").reshape(40, 8)
        file.createVariable("station", "S1", ("lat", "len"))[:] = letters
        file.createVariable("scalar", "f4", ())[...] = 3
        time[:], bounds[:] = np.arange(20), np.stack([np.arange(20), np.arange(20) + 1], 1)
        if is_new:
            everything_new(file, smooth)


def everything_new(file: netCDF4.Dataset, smooth: np.ndarray) -> None:
    """What only NetCDF-4 has."""
    name = file.createVariable("name", str, ("lat",))
    for row in range(40):
        name[row] = f"row {row} ä"
    name.setncattr_string("words", ["one", "two"])
    group = file.createGroup("air")
    group.note = "inner"
    group.createDimension("x", 7)
    group.createVariable("q", "f4", ("time", "lat", "lon"), chunksizes=(1, 40, 52))[:] = smooth
    group.createVariable("w", "i2", ("x",), zlib=True)[:] = np.arange(7)
    kind = file.createEnumType(np.uint8, "cloud", {"clear": 0, "cumulus": 1})
    file.createVariable("kind", kind, ("lat",))[:] = np.arange(40) % 2
    file.createVariable("big", ">f4", ("lat", "lon"), endian="big")[:] = smooth[0]
    file.createVariable("checked", "f8", ("lat",), fletcher32=True)[:] = np.arange(40)


def groups(file: netCDF4.Dataset) -> dict[str, netCDF4.Dataset]:
    found = {file.path: file}
    for inner in file.groups.values():
        found |= groups(inner)
    return found


def attributes(of: netCDF4.Dataset | netCDF4.Variable) -> dict[str, tuple[str, object]]:
    values = {name: of.getncattr(name) for name in of.ncattrs()}
    kind = {name: str(getattr(value, "dtype", type(value))) for name, value in values.items()}
    return {name: (kind[name], np.asarray(value).tolist()) for name, value in values.items()}


def assert_same(original: Path, copy: Path, bounds: dict[str, float], decoded: bool) -> None:
    """Everything equal, but for the values of the variables with a bound, and for how they are stored."""
    with netCDF4.Dataset(original) as before, netCDF4.Dataset(copy) as after:
        before.set_auto_maskandscale(False)
        after.set_auto_maskandscale(False)
        assert groups(before).keys() == groups(after).keys()
        for path, one in groups(before).items():
            other = groups(after)[path]
            assert attributes(one) == attributes(other)
            sizes = {name: (len(size), size.isunlimited()) for name, size in one.dimensions.items()}
            assert sizes == {name: (len(size), size.isunlimited()) for name, size in other.dimensions.items()}
            assert list(one.variables) == list(other.variables)
            assert list(one.enumtypes) == list(other.enumtypes)
            for name, variable in one.variables.items():
                full = name if path == "/" else f"{path}/{name}"
                assert_same_variable(variable, other.variables[name], bounds.get(full), decoded)


def assert_same_variable(one: netCDF4.Variable, other: netCDF4.Variable, bound: float | None, decoded: bool) -> None:
    assert one.dimensions == other.dimensions
    assert attributes(one) == attributes(other), one.name
    assert str(one.datatype) == str(other.datatype) or bound is not None
    x, y = one[...], other[...]
    if bound is None:
        assert np.array_equal(x, y), one.name
        if one._grp.data_model == "NETCDF4" and one.filters() is not None:
            assert (one.filters(), one.chunking()) == (other.filters(), other.chunking()), one.name
        return
    assert not (other.filters() or {}).get("zlib") and not (other.filters() or {}).get("shuffle")
    if decoded:
        assert np.array_equal(x, y), one.name
        return
    holes = x == np.float32(1e20)
    assert np.array_equal(holes, y == np.float32(1e20))
    assert np.abs(np.where(holes, 0, x.astype("f8") - y)).max() <= bound


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA"])
def test_everything_but_the_wanted_variables_stays_as_it_was(tmp_path: Path, form: str) -> None:
    original, small, plain = (tmp_path / name for name in ("original.nc", "small.nc", "plain.nc"))
    everything(original, form)
    tool("compress", original, "-o", small, "--bound", "rel=1e-3", "--bound", "ua:abs=0.01", "--effort", 0)
    # ta and q: 1e-3 of their ranges, which lie below 4.
    bounds = {"ta": 4e-3, "ua": 0.01} | ({"/air/q": 4e-3, "big": 4e-3} if form == "NETCDF4" else {})
    assert_same(original, small, bounds, decoded=False)
    assert small.stat().st_size < original.stat().st_size / 5
    tool("decompress", small, "-o", plain)
    assert_same(small, plain, bounds, decoded=True)
    # A reader without the plugin has what the decompressed file holds.
    script = f"import netCDF4; print(float(netCDF4.Dataset({str(plain)!r})['ua'][3, 2, 1, 0]))"
    bare = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    with netCDF4.Dataset(small) as file:
        assert float(bare.stdout) == float(file["ua"][3, 2, 1, 0])


def test_xarray_opens_it_with_dask(tmp_path: Path) -> None:
    original, small = tmp_path / "original.nc", tmp_path / "small.nc"
    everything(original, "NETCDF4")
    tool("compress", original, "-o", small, "--bound", "abs=0.01", "--effort", 0)
    with xarray.open_dataset(original) as before, xarray.open_dataset(small, chunks={}) as after:
        xarray.testing.assert_allclose(before.ta, after.ta.compute(), rtol=0, atol=0.01)
        xarray.testing.assert_allclose(before.ua, after.ua.compute(), rtol=0, atol=0.01)
        lossy = ["ta", "ua", "big"]
        xarray.testing.assert_identical(before.drop_vars(lossy), after.drop_vars(lossy).compute())
        assert before.ta.attrs == after.ta.attrs


@pytest.mark.parametrize("seed", range(8))
def test_random_datasets(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    original, small = tmp_path / "original.nc", tmp_path / "small.nc"
    bounds = {}
    with netCDF4.Dataset(original, "w") as file:
        for k in range(int(rng.integers(1, 5))):
            rank = int(rng.integers(1, 6))
            shape = [int(n) for n in rng.integers(1, [60, 24, 16, 9, 6][rank - 1] * 4 // rank, rank)]
            dims = []
            for axis, size in enumerate(shape):
                name = f"d{k}{axis}"
                file.createDimension(name, None if axis == 0 and rng.random() < 0.5 else size)
                dims.append(name)
            dtype = str(rng.choice(["f4", "f8"]))
            chunks = [int(rng.integers(1, n + 1)) for n in shape] if rng.random() < 0.5 else None
            variable = file.createVariable(f"v{k}", dtype, dims, chunksizes=chunks, zlib=bool(rng.random() < 0.5))
            variable[:] = np.cumsum(rng.normal(size=shape), axis=int(rng.integers(rank))) * 10.0 ** rng.integers(-4, 5)
            bounds[f"v{k}"] = float(10.0 ** rng.integers(-3, 1))
    named = [part for name, bound in bounds.items() for part in ("--bound", f"{name}:abs={bound!r}")]
    tool("compress", original, "-o", small, *named, "--effort", int(rng.integers(0, 2)))
    assert_same(original, small, bounds, decoded=False)


@pytest.mark.skipif(not CESM, reason="tools/fetch-data gets the files of CESM")
def test_files_of_cesm(tmp_path: Path) -> None:
    for path in CESM:
        variable = path.name.split(".")[1]
        small = tmp_path / path.name
        tool("compress", path, "-o", small, "--bound", "rel=1e-3", "--only", variable, "--effort", 0)
        with xarray.open_dataset(path, decode_times=False) as before:
            values = before[variable].values
            limit = float(1e-3 * (np.nanmax(values.astype("f8")) - np.nanmin(values.astype("f8"))))
        assert_same(path, small, {variable: limit}, decoded=False)
        with xarray.open_dataset(path) as before, xarray.open_dataset(small) as after:
            xarray.testing.assert_allclose(before, after, rtol=0, atol=limit)
