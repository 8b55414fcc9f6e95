"""fieldpress inside of xarray, dask, Zarr, numcodecs and HDF5: the real packages, no stand-ins."""

import importlib
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import waves

import fieldpress

QUICK = {"effort": 0, "threads": 1}
needs_plugin = pytest.mark.skipif(
    not fieldpress.hdf5.activate(), reason="no HDF5 plugin; FIELDPRESS_HDF5_PLUGIN names one"
)


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
        run.define("p", (20, 30), dims=("lat", "lon"))
        run.coordinate("lat", np.linspace(-57, 57, 20), {"units": "degrees_north"})
        for step, values in enumerate(fields):
            with run.step(step):
                run.put("t", values, rel=1e-3)
                run.put("p", values * 2, abs=0.01)
    return path


class TestXarray:
    xarray = pytest.importorskip("xarray")

    def test_a_dataset(self, run: Path) -> None:
        with self.xarray.open_dataset(run, engine="fieldpress") as dataset, fieldpress.open(run) as archive:
            assert dict(dataset.sizes) == {"time": 9, "lat": 20, "lon": 30}
            assert dataset.attrs == {"title": "a run"} and dataset["t"].attrs == {"units": "K"}
            assert dataset["lat"].attrs == {"units": "degrees_north"}
            assert dataset["time"].dt.year[0] == 2000 and dataset["time"].encoding["calendar"] == "noleap"
            np.testing.assert_array_equal(dataset["t"], archive["t"][...])
            picked = dataset["t"].isel(time=[0, 5], lon=slice(None, None, 7)).sel(lat=[57, -57])
            np.testing.assert_array_equal(picked, archive["t"][...][[0, 5]][:, [19, 0]][:, :, ::7])
            assert dataset["p"].isel(time=3, lat=2).shape == (30,)
        with self.xarray.open_dataset(run, engine="fieldpress", decode_times=False, drop_variables="p") as dataset:
            np.testing.assert_array_equal(dataset["time"], np.arange(9))
            assert list(dataset) == ["t"] and float(dataset["t"].sel(time=8.0, lat=57).mean()) < 20

    def test_nothing_is_read_before_it_is_needed(self, run: Path) -> None:
        with self.xarray.open_dataset(run, engine="fieldpress") as dataset:
            assert not dataset["t"]._in_memory
        # The file's ending is enough.
        with self.xarray.open_dataset(str(run)) as dataset:
            assert "t" in dataset

    def test_dask(self, run: Path) -> None:
        pytest.importorskip("dask")
        with self.xarray.open_dataset(run, engine="fieldpress", chunks={}) as dataset, fieldpress.open(run) as archive:
            assert dataset["t"].chunks == ((4, 4, 1), (20,), (30,))
            mean = (dataset["t"] * 2 - dataset["p"]).mean("time")
            np.testing.assert_allclose(
                mean.compute(scheduler="threads"), (archive["t"][...] * 2 - archive["p"][...]).mean(0), atol=1e-4
            )
            spawned = (
                dataset["t"]
                .sum("lon")
                .compute(scheduler="processes", pool=multiprocessing.get_context("spawn").Pool(1))
            )
            np.testing.assert_allclose(spawned, archive["t"][...].sum(2), rtol=1e-5)


class TestZarr:
    zarr = pytest.importorskip("zarr")

    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_version_3(self, tmp_path: Path, field: np.ndarray, dtype: str) -> None:
        field = field.astype(dtype)
        array = self.zarr.create_array(
            tmp_path / "u.zarr",
            shape=field.shape,
            chunks=(8, 20, 48),
            dtype=dtype,
            serializer=fieldpress.zarr.Serializer(rel=1e-3, **QUICK),
            compressors=None,
        )
        array[:] = field
        assert array.nbytes_stored() * 4 < field.nbytes
        metadata = json.loads((tmp_path / "u.zarr" / "zarr.json").read_text())
        assert metadata["codecs"] == [{"name": "fieldpress", "configuration": {"rel": 1e-3, "effort": 0, "threads": 1}}]
        again = self.zarr.open_array(tmp_path / "u.zarr", mode="r")
        for t in (0, 8):
            for y in (0, 20):
                part = np.s_[t : t + 8, y : y + 20]
                assert fieldpress.quality(field[part], again[part]).holds(rel=1e-3)
        assert again[3, 4:9].shape == (5, 48)

    def test_a_reader_finds_the_codec(self, tmp_path: Path, field: np.ndarray) -> None:
        array = self.zarr.create_array(
            tmp_path / "u.zarr",
            shape=field.shape,
            chunks=field.shape,
            dtype="f4",
            compressors=None,
            serializer=fieldpress.zarr.Serializer(axes=(0, 1, 2), abs=0.01, **QUICK),
        )
        array[:] = field
        program = (
            f"import sys, zarr; a = zarr.open_array({str(tmp_path / 'u.zarr')!r})[:]; "
            "sys.stdout.buffer.write(a.tobytes())"
        )
        out = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE).stdout
        assert fieldpress.quality(field, np.frombuffer(out, "f4").reshape(field.shape)).holds(abs=0.01)

    def test_shards(self, tmp_path: Path, field: np.ndarray) -> None:
        array = self.zarr.create_array(
            tmp_path / "u.zarr",
            shape=field.shape,
            chunks=(4, 40, 24),
            shards=(12, 40, 48),
            dtype="f4",
            serializer=fieldpress.zarr.Serializer(abs=0.01, **QUICK),
            compressors=None,
        )
        array[:] = field
        assert fieldpress.quality(field, array[:]).holds(abs=0.01)

    def test_other_types_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(fieldpress.InvalidArgument, match="int16 cannot be compressed"):
            self.zarr.create_array(
                tmp_path / "u.zarr", shape=(8, 8), dtype="i2", serializer=fieldpress.zarr.Serializer(abs=1)
            )
        with pytest.raises(fieldpress.InvalidArgument, match="no bound"):
            fieldpress.zarr.Serializer()

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_version_2(self, tmp_path: Path, field: np.ndarray, order: str) -> None:
        array = self.zarr.create_array(
            tmp_path / "u.zarr",
            shape=field.shape,
            chunks=(12, 20, 48),
            dtype="f4",
            zarr_format=2,
            order=order,
            compressors=fieldpress.numcodecs.Fieldpress(abs=0.01, **QUICK),
        )
        array[:] = field
        again = self.zarr.open_array(tmp_path / "u.zarr", mode="r")
        assert fieldpress.quality(field, again[:]).holds(abs=0.01) and array.nbytes_stored() * 4 < field.nbytes

    def test_xarray_writes_it(self, tmp_path: Path, field: np.ndarray) -> None:
        xarray = pytest.importorskip("xarray")
        dataset = xarray.Dataset({"u": (("time", "y", "x"), field)})
        encoding = {"u": {"serializer": fieldpress.zarr.Serializer(abs=0.01, **QUICK), "compressors": None}}
        dataset.to_zarr(tmp_path / "u.zarr", encoding=encoding, zarr_format=3, consolidated=False)
        with xarray.open_zarr(tmp_path / "u.zarr", consolidated=False) as again:
            assert fieldpress.quality(field, again["u"].values).holds(abs=0.01)


class TestNumcodecs:
    numcodecs = pytest.importorskip("numcodecs")

    def test_round_trip(self, field: np.ndarray) -> None:
        codec = fieldpress.numcodecs.Fieldpress(nrmse=1e-3, axes=(0, 1, 2), **QUICK)
        stream = codec.encode(field)
        assert stream == fieldpress.compress(field, nrmse=1e-3, axes=(0, 1, 2), **QUICK)
        assert fieldpress.quality(field, codec.decode(stream)).holds(nrmse=1e-3)
        out = np.empty_like(field)
        assert codec.decode(stream, out) is out and np.array_equal(out, codec.decode(stream))
        config = json.loads(json.dumps(codec.get_config()))
        again = self.numcodecs.get_codec(config)
        assert again == codec and again.encode(field) == stream

    def test_numcodecs_finds_it(self) -> None:
        program = "import numcodecs; print(numcodecs.get_codec({'id': 'fieldpress', 'rel': 0.001}))"
        out = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert out == "Fieldpress(rel=0.001)\n"


@needs_plugin
class TestHdf5:
    h5py = pytest.importorskip("h5py")

    @pytest.mark.parametrize("bound", [{"rel": 1e-3}, {"abs": 0.01}, {"psnr": 70}, {"lossless": True}], ids=str)
    def test_h5py(self, tmp_path: Path, field: np.ndarray, bound: dict[str, Any]) -> None:
        with self.h5py.File(tmp_path / "u.h5", "w") as file:
            file.create_dataset("u", data=field, chunks=(12, 20, 48), **fieldpress.h5(effort=0, **bound))
        with self.h5py.File(tmp_path / "u.h5") as file:
            u = file["u"]
            for y in (0, 20):
                chunk = np.s_[:, y : y + 20]
                assert fieldpress.quality(field[chunk], u[chunk]).holds(**bound)
                stream = u.id.read_direct_chunk((0, y, 0))[1]
                assert stream == fieldpress.compress(field[chunk], effort=0, **bound)

    @pytest.mark.parametrize(
        "options",
        [{"fm": "off"}, {"effort": 2, "fm": False}, {"sentinels": "off"}, {"sentinels": [-9999, 1e20]}],
        ids=str,
    )
    def test_options_are_those_of_compress(self, tmp_path: Path, field: np.ndarray, options: dict[str, Any]) -> None:
        field[:, 4:9, 4:9] = -9999
        field[3:5, 30:39, 4:9] = 1e20
        field[6, 20:25, 9:20] = 5e6
        with self.h5py.File(tmp_path / "u.h5", "w") as file:
            u = file.create_dataset("u", data=field, chunks=field.shape, **fieldpress.h5(pw_rel=1e-3, **options))
            stream = u.id.read_direct_chunk((0, 0, 0))[1]
        given = options.get("sentinels")
        own = options | ({"sentinels": ",".join(map(str, given))} if isinstance(given, list) else {})
        assert stream == fieldpress.compress(field, pw_rel=1e-3, **own)

    def test_xarray_and_h5netcdf(self, tmp_path: Path, field: np.ndarray) -> None:
        xarray = pytest.importorskip("xarray")
        pytest.importorskip("h5netcdf")
        dataset = xarray.Dataset({"u": (("time", "y", "x"), field)}, {"x": np.arange(48.0)})
        encoding = {"u": {"chunksizes": (12, 40, 48), **fieldpress.h5(abs=0.01)}}
        dataset.to_netcdf(tmp_path / "u.nc", engine="h5netcdf", encoding=encoding)
        with xarray.open_dataset(tmp_path / "u.nc", engine="h5netcdf") as again:
            assert fieldpress.quality(field, again["u"].values).holds(abs=0.01)
            np.testing.assert_array_equal(again["x"], dataset["x"])

    def test_netcdf4_reads_it(self, tmp_path: Path, field: np.ndarray) -> None:
        pytest.importorskip("netCDF4")
        with self.h5py.File(tmp_path / "u.nc", "w") as file:
            for name, n in zip("tyx", field.shape, strict=True):
                file.create_dataset(name, data=np.arange(n, dtype="f4")).make_scale(name)
            u = file.create_dataset("u", data=field, chunks=field.shape, **fieldpress.h5(abs=0.01))
            for axis, name in enumerate("tyx"):
                u.dims[axis].attach_scale(file[name])
        program = (
            f"import sys, fieldpress, netCDF4; d = netCDF4.Dataset({str(tmp_path / 'u.nc')!r}); "
            "sys.stdout.buffer.write(d['u'][:].data.tobytes())"
        )
        out = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE).stdout
        assert fieldpress.quality(field, np.frombuffer(out, "f4").reshape(field.shape)).holds(abs=0.01)

    @pytest.mark.parametrize("order", ["fieldpress, h5py", "h5py, fieldpress"])
    def test_the_order_of_imports_does_not_matter(self, tmp_path: Path, field: np.ndarray, order: str) -> None:
        with self.h5py.File(tmp_path / "u.h5", "w") as file:
            file.create_dataset("u", data=field, chunks=field.shape, **fieldpress.h5(abs=0.01))
        program = f"import {order}; print(h5py.File({str(tmp_path / 'u.h5')!r})['u'][:].shape)"
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_mistakes(self) -> None:
        with pytest.raises(fieldpress.InvalidArgument, match="no bound"):
            fieldpress.h5()
        with pytest.raises(fieldpress.InvalidArgument, match="effort=3"):
            fieldpress.h5(abs=1, effort=3)
        with pytest.raises(fieldpress.InvalidArgument, match="fm='never'"):
            fieldpress.h5(abs=1, fm="never")  # type: ignore[arg-type]
        with pytest.raises(fieldpress.InvalidArgument, match="up to 8"):
            fieldpress.h5(abs=1, sentinels=range(9))


def test_h5_says_where_the_plugin_is_looked_for(tmp_path: Path) -> None:
    program = """
import fieldpress, pytest
with pytest.raises(fieldpress.InvalidArgument, match="FIELDPRESS_HDF5_PLUGIN may name its folder"):
    fieldpress.h5(abs=1)
"""
    environment = {"FIELDPRESS_HDF5_PLUGIN": str(tmp_path), "PATH": "/usr/bin"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


class TestDatasets:
    xarray = pytest.importorskip("xarray")

    def dataset(self, field: np.ndarray) -> Any:
        """A dataset with what files have: several types, attributes, coordinates, a fill value."""
        holes = field.astype("f8")
        holes[:, 3] = np.nan
        return self.xarray.Dataset(
            {
                "ta": (("time", "lat", "lon"), field, {"units": "K", "long_name": "temperature"}),
                "pr": (("time", "lat", "lon"), holes, {"units": "mm"}),
                "count": (("lat", "lon"), np.arange(40 * 48).reshape(40, 48)),
                "kind": (("time",), np.array(["a", "bb"] * 6, dtype=object)),
            },
            {"lat": np.linspace(-1, 1, 40), "lon": np.linspace(0, 1, 48) ** 2, "time": np.arange(12)},
            {"title": "a dataset"},
        )

    def compare(self, again: Any, dataset: Any) -> None:
        self.xarray.testing.assert_identical(again.drop_vars(["ta", "pr"]), dataset.drop_vars(["ta", "pr"]))
        assert again["ta"].attrs == dataset["ta"].attrs and again["pr"].attrs == dataset["pr"].attrs
        assert fieldpress.quality(dataset["ta"].values, again["ta"].values).holds(abs=0.1)
        assert fieldpress.quality(dataset["pr"].values, again["pr"].values).holds(rel=1e-4)

    @needs_plugin
    def test_netcdf(self, tmp_path: Path, field: np.ndarray) -> None:
        pytest.importorskip("h5netcdf")
        dataset = self.dataset(field)
        encoding = fieldpress.xarray.encoding(dataset, rel=1e-4, overrides={"ta": {"abs": 0.1}})
        assert encoding["ta"]["chunksizes"] == (12, 40, 48) and set(encoding) == {"ta", "pr"}
        dataset.to_netcdf(tmp_path / "x.nc", engine="h5netcdf", encoding=encoding)
        with self.xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as again:
            self.compare(again, dataset)
        with pytest.raises(fieldpress.InvalidArgument, match="does not take threads"):
            fieldpress.xarray.encoding(dataset, rel=1e-4, threads=1)
        with pytest.raises(fieldpress.InvalidArgument, match="'count' is no variable of floating values"):
            fieldpress.xarray.encoding(dataset, rel=1e-4, only=["count"])

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_zarr(self, tmp_path: Path, field: np.ndarray) -> None:
        pytest.importorskip("zarr")
        dataset = self.dataset(field)
        encoding = fieldpress.xarray.encoding(dataset, "zarr", rel=1e-4, overrides={"ta": {"abs": 0.1}}, **QUICK)
        dataset.to_zarr(tmp_path / "x.zarr", encoding=encoding, zarr_format=3, consolidated=False)
        with self.xarray.open_zarr(tmp_path / "x.zarr", consolidated=False) as again:
            self.compare(again.load(), dataset)


def test_chunks_hold_frames() -> None:
    from fieldpress.xarray import _chunks

    assert _chunks((365, 192, 288)) == (75, 192, 288)
    assert _chunks((1000, 4, 5000, 5000)) == (1, 4, 1024, 1024)
    assert _chunks((1000, 5000, 5000)) == (8, 1024, 1024)
    assert _chunks((10000,)) == (10000,) and _chunks((3, 7)) == (3, 7)


ADIOS2 = """
import sys
import numpy as np
import fieldpress.adios2
import adios2

path, field = sys.argv[1], np.load(sys.argv[2])
io = adios2.Adios().declare_io("out")
variable = io.define_variable("u", field, list(field.shape), [0] * field.ndim, list(field.shape))
variable.add_operation_string("plugin", fieldpress.adios2.operator(nrmse=1e-3, threads=1))
with adios2.Stream(io, path, "w") as stream:
    stream.begin_step()
    stream.write(variable, field)
    stream.end_step()
with adios2.FileReader(path) as file:
    assert fieldpress.quality(field, file.read("u")).holds(nrmse=1e-3)
"""


def test_adios2(tmp_path: Path, field: np.ndarray) -> None:
    pytest.importorskip("adios2")
    try:
        importlib.import_module("fieldpress.adios2")
    except ImportError as error:
        pytest.skip(str(error))
    assert fieldpress.adios2.operator(rel=1e-3, effort=2, axes=(0, 2, 3)) == {
        "PluginName": "fieldpress",
        "PluginLibrary": "fieldpress_adios2",
        "mode": "REL",
        "accuracy": "0.001",
        "effort": "2",
        "axes": "0,2,3",
    }
    np.save(tmp_path / "u.npy", field)
    subprocess.run([sys.executable, "-c", ADIOS2, tmp_path / "u.bp", tmp_path / "u.npy"], check=True)
