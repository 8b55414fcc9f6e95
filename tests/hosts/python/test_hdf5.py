"""The HDF5 filter: h5py with a library of its own, h5dump and h5repack with the system's, and every error."""

from __future__ import annotations

import shutil
import struct
import subprocess
import unittest
from pathlib import Path

import h5py
import numpy as np
from common import FILTER_ID, HostTest, field, filter_parameters


def write(path: Path, values: np.ndarray, kind: str, value: float = 0.0, effort: int = 1, **options: object) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "u",
            data=values,
            chunks=options.pop("chunks", values.shape),
            compression=FILTER_ID,
            compression_opts=filter_parameters(kind, value, effort),
            **options,
        )


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


class WritingAndReading(HostTest):
    def test_round_trip(self) -> None:
        for dtype in ("f4", "f8"):
            for effort in (0, 1, 2):
                with self.subTest(dtype=dtype, effort=effort):
                    values = field(dtype=dtype)
                    path = self.folder / "u.h5"
                    write(path, values, "abs", 0.02, effort, chunks=(8, 64, 96))
                    with h5py.File(path) as file:
                        self.assertLessEqual(np.abs(file["u"][:] - values).max(), 0.02)
                        self.assertLess(file["u"].id.get_storage_size(), values.nbytes / 4)

    def test_lossless_and_many_dimensions(self) -> None:
        values = field().reshape(2, 2, 2, 2, 1, 64, 96)
        write(self.folder / "u.h5", values, "lossless", chunks=(2, 2, 2, 2, 1, 64, 96))
        with h5py.File(self.folder / "u.h5") as file:
            np.testing.assert_array_equal(file["u"][:], values)

    def test_chunks_beyond_the_edge_and_appending(self) -> None:
        values = field()
        path = self.folder / "u.h5"
        with h5py.File(path, "w") as file:
            options = {"compression": FILTER_ID, "compression_opts": filter_parameters("abs", 0.02)}
            u = file.create_dataset("u", (0, 64, 96), "f4", maxshape=(None, 64, 96), chunks=(5, 48, 48), **options)
            for step in values:
                u.resize(len(u) + 1, axis=0)
                u[-1] = step
        with h5py.File(path) as file:
            # Chunks that were not full when they were flushed are read, changed and compressed once more: the error may
            # be twice the bound, which docs/hosts.md says.
            self.assertLessEqual(np.abs(file["u"][:] - values).max(), 2 * 0.02)

    def test_fill_values_are_no_data(self) -> None:
        """Whatever a dataset's fill value is, it neither widens the range that bounds refer to, nor loses a bit."""
        for dtype in ("f4", "f8"):
            for fill in (1e20, -9999.0, 0.1):
                values = field(dtype=dtype) + 300
                span = np.ptp(values)
                hole = np.zeros(values.shape, bool)
                hole[:, 10:40, 20:50] = True
                values[hole] = fill
                path = self.folder / "fill.h5"
                write(path, values, "rel", 1e-3, chunks=(8, 64, 96), fillvalue=fill)
                with h5py.File(path) as file:
                    read = file["u"][:]
                np.testing.assert_array_equal(read[hole], values[hole])
                self.assertLessEqual(np.abs(read - values)[~hole].max(), 1e-3 * span)

    def test_sentinels_are_found_in_each_chunk(self) -> None:
        """Marks that no fill value names: many, a few on one side, or one in a chunk, chunk by chunk."""
        chunks = (8, 16, 24)
        for mark in (1e20, -9999.0, 9.969209968386869e36):
            values = field() + 300
            mark = values.dtype.type(mark)
            hole = np.zeros(values.shape, bool)
            hole[:, :, :10] = True
            hole[3:, 20:30, 40:60] = True
            hole[::2, 40, 90] = True
            hole[5, 60, 30] = True
            values[hole] = mark
            path = self.folder / "marks.h5"
            write(path, values, "rel", 1e-3, chunks=chunks)
            with h5py.File(path) as file:
                read = file["u"][:]
            np.testing.assert_array_equal(read[hole], values[hole])
            for at in np.ndindex(2, 4, 4):
                part = tuple(slice(i * n, (i + 1) * n) for i, n in zip(at, chunks, strict=True))
                data = ~hole[part]
                if data.any():
                    span = np.ptp(values[part][data])
                    self.assertLessEqual(np.abs(read[part] - values[part])[data].max(), 1e-3 * span)

    def test_the_model_can_be_left_out(self) -> None:
        """4 more than the effort: no reader needs the model. Other numbers are refused when the dataset is created."""
        values = field()
        for effort in (4, 5, 6, 8):
            with h5py.File(self.folder / "model.h5", "w") as file:
                options = filter_parameters("lossless", effort=effort)
                file.create_dataset("u", data=values, chunks=values.shape, compression=FILTER_ID, compression_opts=options)
                if effort < 8:
                    np.testing.assert_array_equal(file["u"][:], values)
        for effort in (3, 7, 12, 4096):
            with h5py.File(self.folder / "model.h5", "w") as file, self.assertRaisesRegex(ValueError, "effort"):
                options = filter_parameters("rel", 1e-3, effort)
                file.create_dataset("u", data=values, chunks=values.shape, compression=FILTER_ID, compression_opts=options)

    def test_sentinels_can_be_data(self) -> None:
        """With parameter 4 a value far outside of all others is one of them."""
        values = field() + 300
        values[2:4, 10:20, 10:20] = -9999.0
        sizes = []
        for sentinels in (0, 1):
            path = self.folder / "data.h5"
            options = (*filter_parameters("rel", 1e-3), sentinels)
            with h5py.File(path, "w") as file:
                file.create_dataset(
                    "u", data=values, chunks=values.shape, compression=FILTER_ID, compression_opts=options
                )
            with h5py.File(path) as file:
                error = np.abs(file["u"][:] - values)
                sizes.append(file["u"].id.get_storage_size())
            data = values > 0
            # A thousandth of the range with the value, or without it.
            span = np.ptp(values) if sentinels else np.ptp(values[data])
            self.assertLessEqual(error[data].max(), 1e-3 * span)
            self.assertLessEqual(error[~data].max(), 1e-3 * span if sentinels else 0)
        self.assertLess(sizes[1], sizes[0] / 2)

    def test_padding_of_edge_chunks_is_no_data(self) -> None:
        """Chunks that reach beyond the edge are padded by HDF5, with 0 where nobody says otherwise."""
        values = field()[:, :50, :70] + 300
        sizes = []
        for chunks in ((8, 64, 96), (8, 50, 70)):
            path = self.folder / "edge.h5"
            write(path, values, "rel", 1e-3, chunks=chunks, maxshape=(None, None, None))
            with h5py.File(path) as file:
                read = file["u"][:]
                sizes.append(file["u"].id.get_storage_size())
            self.assertLessEqual(np.abs(read - values).max(), 1e-3 * np.ptp(values))
        self.assertLess(sizes[0], 1.2 * sizes[1] + 200)
        # Zeros that are data stay data, where no chunk has an edge.
        values = np.maximum(field(), 0)
        write(self.folder / "zeros.h5", values, "abs", 0.02, chunks=(8, 64, 96))
        with h5py.File(self.folder / "zeros.h5") as file:
            self.assertLessEqual(np.abs(file["u"][:] - values).max(), 0.02)

    def test_files_without_the_newer_parameters_are_read(self) -> None:
        values = field()
        write(self.folder / "new.h5", values, "abs", 0.02)
        with h5py.File(self.folder / "new.h5") as file:
            stream = file["u"].id.read_direct_chunk((0, 0, 0))[1]
            parameters = file["u"].id.get_create_plist().get_filter_by_id(FILTER_ID)[1]
        self.assertEqual(len(parameters), 14)
        # Set by nobody: without the calls by which HDF5 has a filter add its own, as an old version of the plugin left them.
        whole = (self.folder / "new.h5").read_bytes()
        old = struct.pack("<14I", *parameters)
        self.assertEqual(whole.count(old), 1)
        self.assertIn(stream, whole)
        (self.folder / "old.h5").write_bytes(whole.replace(old, old[:44] + bytes(12)))
        with h5py.File(self.folder / "old.h5") as file:
            self.assertLessEqual(np.abs(file["u"][:] - values).max(), 0.02)

    @unittest.skipUnless(shutil.which("h5dump"), "hdf5-tools is not installed")
    def test_tools_of_the_system(self) -> None:
        values = field()
        path, plain, again = (str(self.folder / name) for name in ("u.h5", "plain.h5", "again.h5"))
        write(Path(path), values, "abs", 0.02)
        dumped = tool("h5dump", "-d", "/u", "-m", "%.9g", "-y", "-w", "1", path)
        self.assertEqual(dumped.returncode, 0, dumped.stderr)
        data = dumped.stdout.split("DATA {")[1].split("}")[0].replace(",", " ").split()
        self.assertLessEqual(np.abs(np.array(data, dtype="f4").reshape(values.shape) - values).max(), 0.02 + 1e-6)

        removed = tool("h5repack", "-f", "NONE", path, plain)
        self.assertEqual(removed.returncode, 0, removed.stderr)
        parameters = ",".join(str(value) for value in filter_parameters("nrmse", 1e-3))
        packed = tool("h5repack", "-l", "u:CHUNK=8x64x96", "-f", f"u:UD={FILTER_ID},0,4,{parameters}", plain, again)
        self.assertEqual(packed.returncode, 0, packed.stderr)
        with h5py.File(again) as file:
            error = file["u"][:] - values
            self.assertLess(file["u"].id.get_storage_size(), values.nbytes / 4)
        self.assertLessEqual(np.sqrt((error.astype("f8") ** 2).mean()), 2e-3 * np.ptp(values) + 0.02)


class Errors(HostTest):
    def refused(self, *words: str, values: np.ndarray | None = None, **options: object) -> None:
        with self.assertRaises((ValueError, OSError, RuntimeError)) as caught, h5py.File(self.folder / "u.h5", "w") as f:
            f.create_dataset("u", data=field() if values is None else values, compression=FILTER_ID, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_parameters(self) -> None:
        kind, low, high, _ = filter_parameters("abs", 0.02)
        self.refused("parameters are missing", compression_opts=(kind,))
        self.refused("kind is not known", compression_opts=(9, low, high))
        self.refused("greater than 0", compression_opts=filter_parameters("abs", -1.0))
        self.refused("greater than 0", compression_opts=filter_parameters("abs", float("nan")))
        self.refused("effort", compression_opts=(kind, low, high, 7))

    def test_types(self) -> None:
        """As for HDF5's own filters: an error where the filter is mandatory, none and no filter where it is
        optional.
        """
        parameters = filter_parameters("abs", 0.02)
        cases = [
            (np.arange(1000, dtype="i4"), "type is not supported"),
            (field().astype("f2"), "32 or 64 bits"),
            (field().astype(">f4"), "big-endian"),
        ]
        for values, word in cases:
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk(values.shape)
            creation.set_filter(FILTER_ID, h5py.h5z.FLAG_MANDATORY, parameters)
            with h5py.File(self.folder / "u.h5", "w") as file:
                space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
                with self.assertRaises((ValueError, OSError, RuntimeError)) as caught:
                    h5py.h5d.create(file.id, b"u", kind, space, creation)
                self.assertIn(word, str(caught.exception))
                optional = file.create_dataset("v", data=values, compression=FILTER_ID, compression_opts=parameters)
                self.assertEqual(optional.id.get_storage_size(), values.nbytes)
                np.testing.assert_array_equal(optional[:], values)

    def test_property_list_of_another_dataset(self) -> None:
        """What set_local added for floats must not make floats of the next dataset's values."""
        path = self.folder / "u.h5"
        write(path, field(), "abs", 0.02)
        integers = np.arange(field().size, dtype="i4").reshape(field().shape) + 1_000_000_000
        short = field((4, 8, 16), "f8")
        with h5py.File(path, "a") as file:
            creation = file["u"].id.get_create_plist()
            for name, values in (("integers", integers), ("big_endian", field(dtype=">f4"))):
                space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
                h5py.h5d.create(file.id, name.encode(), kind, space, creation).write(h5py.h5s.ALL, h5py.h5s.ALL, values)
            creation.set_chunk(short.shape)
            space, kind = h5py.h5s.create_simple(short.shape), h5py.h5t.py_create(short.dtype)
            h5py.h5d.create(file.id, b"short", kind, space, creation).write(h5py.h5s.ALL, h5py.h5s.ALL, short)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["integers"][:], integers)
            np.testing.assert_array_equal(file["big_endian"][:], field())
            self.assertLessEqual(np.abs(file["short"][:] - short).max(), 0.02)

    def test_another_filter_before(self) -> None:
        self.refused("another filter", shuffle=True, compression_opts=filter_parameters("abs", 0.02))

    def test_flipped_and_cut_bytes(self) -> None:
        path = self.folder / "u.h5"
        write(path, field(), "abs", 0.02)
        whole = path.read_bytes()
        begin = whole.index(b"FPRS")
        damages = [whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :] for at in range(begin, begin + 2000, 97)]
        damages.append(whole[: begin + 1000] + bytes(len(whole) - begin - 1000))
        for damaged in damages:
            path.write_bytes(damaged)
            with self.assertRaises(OSError) as caught, h5py.File(path) as file:
                file["u"][:]
            # HDF5 2.0, which h5py brings, drops a filter's own sentence when it reads; 1.10 keeps it.
            self.assertIn("filter", str(caught.exception))
        if shutil.which("h5dump"):
            dumped = tool("h5dump", "--enable-error-stack", "-d", "/u", str(path))
            self.assertIn("fieldpress:", dumped.stdout + dumped.stderr)

    def test_a_stream_of_another_size(self) -> None:
        """A chunk that holds a sound stream of fewer values than HDF5 will read."""
        path, small = self.folder / "u.h5", self.folder / "small.h5"
        write(path, field(), "abs", 0.02)
        write(small, field((8, 64, 96)), "abs", 0.02)
        with h5py.File(small) as file:
            stream = file["u"].id.read_direct_chunk((0, 0, 0))[1]
        with h5py.File(path, "a") as file:
            file["u"].id.write_direct_chunk((0, 0, 0), stream)
        with self.assertRaises(OSError), h5py.File(path) as file:
            file["u"][:]


if __name__ == "__main__":
    unittest.main()
