"""The ADIOS2 operator from Python: writing, reading without parameters, bpls, and every error."""

from __future__ import annotations

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import adios2
import numpy as np
from adios2 import Adios
from adios2.bindings import Mode
from common import BUILD, HostTest, field

BPLS = os.environ.get("FIELDPRESS_BPLS", "")
OPERATOR = {"PluginName": "fieldpress", "PluginLibrary": "fieldpress_adios2"}


def write(path: Path, values: np.ndarray, engine: str = "BP5", **parameters: str) -> None:
    """One step with one variable, u, through the operator."""
    io = Adios().declare_io("writer")
    io.set_engine(engine)
    variable = io.define_variable("u", values, values.shape, [0] * values.ndim, values.shape)
    variable.add_operation_string("plugin", OPERATOR | parameters)
    writer = io.open(str(path), Mode.Write)
    writer.begin_step()
    writer.put(variable, values, Mode.Sync)
    writer.end_step()
    writer.close()


class WritingAndReading(HostTest):
    def test_round_trip(self) -> None:
        for engine in ("BP4", "BP5"):
            for dtype in ("f4", "f8"):
                with self.subTest(engine=engine, dtype=dtype):
                    values = field(dtype=dtype)
                    path = self.folder / f"{engine}{dtype}.bp"
                    write(path, values, engine, mode="ABS", accuracy="0.02")
                    with adios2.FileReader(str(path)) as file:
                        self.assertLessEqual(np.abs(file.read("u") - values).max(), 0.02)
                        part = file.read("u", start=[3, 10, 20], count=[2, 5, 7])
                        np.testing.assert_allclose(part, values[3:5, 10:15, 20:27], rtol=0, atol=0.02)
                    stored = sum(entry.stat().st_size for entry in path.iterdir())
                    self.assertLess(stored, values.nbytes / 4)

    def test_complex(self) -> None:
        for dtype in ("c8", "c16"):
            values = (field() + 1j * field()[:, ::-1]).astype(dtype)
            write(self.folder / "complex.bp", values, accuracy="0.02")
            # FileReader.read does not know complex types (ADIOS2 2.12); the bindings below it do.
            io = Adios().declare_io("reader")
            reader = io.open(str(self.folder / "complex.bp"), Mode.ReadRandomAccess)
            read = np.empty(values.shape, dtype)
            reader.get(io.inquire_variable("u"), read, Mode.Sync)
            reader.close()
            error = read - values
            self.assertLessEqual(max(np.abs(error.real).max(), np.abs(error.imag).max()), 0.02)

    def test_special_values_come_back(self) -> None:
        values = field()
        values[0, :5, :5], values[1, 2, 3], values[2, 4, 5] = -999, np.nan, np.inf
        write(self.folder / "special.bp", values, accuracy="0.02", fill_value="-999")
        with adios2.FileReader(str(self.folder / "special.bp")) as file:
            read = file.read("u")
        np.testing.assert_array_equal(read[0, :5, :5], -999)
        np.testing.assert_allclose(read, values, rtol=0, atol=0.02)

    def test_a_global_range(self) -> None:
        values = field()
        sizes = []
        for parameters in ({}, {"range": "1000"}):
            path = self.folder / f"range{len(sizes)}.bp"
            write(path, values, mode="REL", accuracy="1e-4", **parameters)
            sizes.append((path / "data.0").stat().st_size)
        self.assertLess(sizes[1], sizes[0])

    @unittest.skipUnless(BPLS, "FIELDPRESS_BPLS does not name bpls (tools/setup builds it)")
    def test_bpls(self) -> None:
        values = field()
        write(self.folder / "u.bp", values, accuracy="0.02")
        command = [BPLS, "-d", "-n", "1", "-f", "%.9g", str(self.folder / "u.bp"), "u"]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        lines = [line.split(")")[1] for line in printed.splitlines() if line.strip().startswith("(")]
        read = np.array([float(line) for line in lines], dtype="f4").reshape(values.shape)
        self.assertLessEqual(np.abs(read - values).max(), 0.02 + 1e-6)


class Errors(HostTest):
    def refused(self, *words: str, values: np.ndarray | None = None, **parameters: str) -> None:
        with self.assertRaises(Exception) as caught:
            write(self.folder / "refused.bp", field() if values is None else values, **parameters)
        for word in words:
            self.assertIn(word, str(caught.exception))
        written = [file for file in self.folder.rglob("data.0") if file.stat().st_size]
        self.assertEqual(written, [], "nothing must reach the file")

    def test_parameters(self) -> None:
        self.refused("'acuracy' is not known", "accuracy", "mode", "effort", acuracy="1")
        self.refused("ABS|REL|NRMSE|PSNR|BLOCK_L2|LOSSLESS|PW_REL", mode="max", accuracy="1")
        self.refused("greater than 0", accuracy="0")
        self.refused("0, 1 or 2", accuracy="1", effort="fast")
        self.refused("axes", accuracy="1", axes="0,1,9")

    def test_a_wrong_parameter_is_said_before_anything_ends(self) -> None:
        """`Stream` closes the file after the error, which ADIOS2 2.12.1 does not survive: the sentence must be there by then."""
        path = self.folder / "refused.bp"
        for parameters, words in (({"acuracy": "1"}, "'acuracy' is not known"), ({}, "accuracy is missing"), ({"accuracy": "-1"}, "greater than 0")):
            code = f"""
from test_adios2 import *
values = field()
with adios2.Stream({str(path)!r}, "w") as stream:
    for _ in stream.steps(2):
        operation = ("plugin", OPERATOR | {parameters!r})
        stream.write("u", values, values.shape, [0] * values.ndim, values.shape, operations=[operation])
"""
            done = self.run_python(code)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            self.assertIn("ADIOS2 ERROR", done.stderr)
            self.assertEqual(done.stderr.count("[ADIOS2 ERROR] <Operator> <fieldpress>"), 1, done.stderr)

    def test_missing_model(self) -> None:
        self.refused("no/such/model", accuracy="1", model="no/such/model")

    def test_missing_onnx_runtime(self) -> None:
        code = "from test_adios2 import *\nwrite(Path(__import__('sys').argv[1]), field(), accuracy='1', fm='on')"
        code = code.replace("__import__('sys').argv[1]", repr(str(self.folder / "refused.bp")))
        done = self.run_python(code, FIELDPRESS_ONNXRUNTIME="/no/such/runtime")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/runtime", done.stderr)

    def test_wrong_type(self) -> None:
        """ADIOS2 warns, leaves the operator out, and stores the integers as they are."""
        values = np.arange(5000, dtype="i4")
        write(self.folder / "integers.bp", values, accuracy="1")
        with adios2.FileReader(str(self.folder / "integers.bp")) as file:
            np.testing.assert_array_equal(file.read("u"), values)

    def test_bp4_ends_with_the_message(self) -> None:
        """BP4 calls operators where no exception can leave: the program ends, and says why."""
        path = self.folder / "refused.bp"
        code = f"from test_adios2 import *\nwrite(Path({str(path)!r}), field(), 'BP4', accuracy='-1')"
        done = self.run_python(code)
        self.assertLess(done.returncode, 0)
        self.assertIn("greater than 0", done.stderr)
        self.assertEqual([file for file in path.rglob("data.0") if file.stat().st_size], [])

    def test_flipped_bytes(self) -> None:
        values = field()
        for engine in ("BP4", "BP5"):
            path = self.folder / f"{engine}.bp"
            write(path, values, engine, accuracy="0.02")
            data = path / "data.0"
            whole = data.read_bytes()
            begin = whole.index(b"FPRS")
            for at in range(begin, begin + 2000, 97):
                flipped = bytearray(whole)
                flipped[at] ^= 0x20
                data.write_bytes(flipped)
                with self.assertRaises(Exception, msg=f"byte {at}") as caught, adios2.FileReader(str(path)) as file:
                    file.read("u")
                self.assertIn("fieldpress operator", str(caught.exception))

    def test_a_block_that_was_never_finished(self) -> None:
        path = self.folder / "cut.bp"
        write(path, field(), accuracy="0.02")
        data = path / "data.0"
        whole = data.read_bytes()
        half = whole.index(b"FPRS") + 1000
        data.write_bytes(whole[:half] + bytes(len(whole) - half))
        with self.assertRaises(Exception) as caught, adios2.FileReader(str(path)) as file:
            file.read("u")
        self.assertIn("fieldpress operator", str(caught.exception))

    def test_missing_plugin(self) -> None:
        path = self.folder / "u.bp"
        write(path, field(), accuracy="0.02")
        code = f"import adios2\nwith adios2.FileReader({str(path)!r}) as file: file.read('u')"
        done = self.run_python(code, ADIOS2_PLUGIN_PATH=str(self.folder))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("fieldpress_adios2", done.stdout + done.stderr)


class DiskFull(HostTest):
    """A file system of a few hundred kB, on which the second step does not fit."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(self.disk)]
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
        if done.returncode:
            self.skipTest(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", str(self.disk)], check=True))

    def test_earlier_steps_are_kept(self) -> None:
        path = self.disk / "u.bp"
        code = f"""
from test_adios2 import *
values = field()
io = Adios().declare_io("writer")
io.set_engine("BP5")
variable = io.define_variable("u", values, values.shape, [0, 0, 0], values.shape)
variable.add_operation_string("plugin", OPERATOR | {{"mode": "LOSSLESS"}})
writer = io.open({str(path)!r}, Mode.Write)
for step in range(20):
    writer.begin_step()
    writer.put(variable, values + step, Mode.Sync)
    writer.end_step()
    print("step", step, flush=True)
writer.close()
"""
        done = self.run_python(code)
        self.assertNotEqual(done.returncode, 0, "a full disk must not go unnoticed")
        self.assertIn("space", done.stderr.lower())
        written = done.stdout.count("step")
        copy = self.folder / "copy.bp"
        shutil.copytree(path, copy)
        io = Adios().declare_io("reader")
        io.set_engine("BP5")
        reader = io.open(str(copy), Mode.Read)
        for step in range(written):
            self.assertEqual(reader.begin_step(adios2.bindings.StepMode.Read, 0.1), adios2.bindings.StepStatus.OK)
            read = np.empty((16, 64, 96), dtype="f4")
            reader.get(io.inquire_variable("u"), read, Mode.Sync)
            np.testing.assert_array_equal(read, field() + step)
            reader.end_step()
        reader.close()


if __name__ == "__main__":
    assert (BUILD / "plugins/adios2/libfieldpress_adios2.so").exists()
    unittest.main()
