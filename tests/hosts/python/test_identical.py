"""The same field through C, C++, Fortran, ADIOS2 and HDF5 gives the same bytes."""

from __future__ import annotations

import subprocess
import unittest

import h5py
from common import BUILD, FILTER_ID, HostTest, field, filter_parameters
from test_adios2 import write


class Identical(HostTest):
    def test_all_hosts(self) -> None:
        values = field()
        (self.folder / "field.f32").write_bytes(values.tobytes())
        streams = {}
        for language in ("c", "cpp", "fortran"):
            program = BUILD / f"tests/hosts/identical_{language}"
            if language == "fortran" and not program.exists():
                continue
            out = self.folder / language
            subprocess.run([str(program), str(self.folder / "field.f32"), str(out)], check=True, timeout=120)
            streams[language] = out.read_bytes()
        expected = streams["c"]
        self.assertEqual(expected[:4], b"FPRS")

        with h5py.File(self.folder / "u.h5", "w") as file:
            options = {"compression": FILTER_ID, "compression_opts": filter_parameters("rel", 1e-3)}
            file.create_dataset("u", data=values, chunks=values.shape, **options)
        with h5py.File(self.folder / "u.h5") as file:
            streams["hdf5"] = file["u"].id.read_direct_chunk((0, 0, 0))[1]

        for engine in ("BP4", "BP5"):
            path = self.folder / f"{engine}.bp"
            write(path, values, engine, mode="REL", accuracy="1e-3")
            data = (path / "data.0").read_bytes()
            begin = data.index(b"FPRS")
            streams[engine] = data[begin : begin + len(expected)]

        for host, stream in streams.items():
            self.assertEqual(stream, expected, host)


if __name__ == "__main__":
    unittest.main()
