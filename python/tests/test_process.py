"""What concerns the process: memory, the GIL, threads, forks, and where ONNX Runtime comes from."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, waves

import fieldpress
from fieldpress import _arrays

LIBRARY = os.environ.get("FIELDPRESS_LIBRARY")
TOOL = os.environ.get("FIELDPRESS_TOOL")


class Field(ctypes.Structure):
    """`fieldpress_field` of include/fieldpress.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("dtype", ctypes.c_int32),
        ("ndim", ctypes.c_uint32),
        ("dims", ctypes.c_size_t * 5),
        ("strides", ctypes.c_size_t * 5),
    )


class CAbi:
    """The library's calls from C, with a handle and room for streams."""

    def __init__(self, field: np.ndarray, options: bytes) -> None:
        self.library = ctypes.CDLL(LIBRARY)
        self.handle = ctypes.c_void_p()
        assert self.library.fieldpress_create(options, ctypes.byref(self.handle)) == 0
        dtype = 1 if field.dtype == np.float32 else 2
        self.field = Field(field.ctypes.data, dtype, 3, (ctypes.c_size_t * 5)(*field.shape))
        self.most = ctypes.c_size_t()
        assert self.library.fieldpress_compress_bound(ctypes.byref(self.field), ctypes.byref(self.most)) == 0
        self.stream = ctypes.create_string_buffer(self.most.value)

    def compress(self, nrmse: float) -> int:
        """The length of the stream."""
        kind, length = 3, ctypes.c_size_t(self.most.value)
        status = self.library.fieldpress_compress(
            self.handle, ctypes.byref(self.field), kind, ctypes.c_double(nrmse), self.stream, ctypes.byref(length), None
        )
        assert status == 0
        return length.value

    def close(self) -> None:
        self.library.fieldpress_destroy(self.handle)


@pytest.mark.skipif(not LIBRARY, reason="FIELDPRESS_LIBRARY names no library")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_bytes_are_those_of_the_c_abi(dtype: str) -> None:
    field = waves((24, 64, 80), dtype)
    c = CAbi(field, b"effort=1;threads=2;fm=off")
    length = c.compress(1e-3)
    c.close()
    assert fieldpress.compress(field, nrmse=1e-3, effort=1, threads=2, fm=False) == c.stream.raw[:length]


@pytest.mark.skipif(not LIBRARY, reason="FIELDPRESS_LIBRARY names no library")
def test_a_call_takes_the_time_of_the_c_call() -> None:
    """Processor time in pairs that alternate; docs/python.md has what it comes to where nothing else runs."""
    field = waves((24, 256, 256))
    c, codec = CAbi(field, b"effort=0;threads=1"), fieldpress.Codec(effort=0, threads=1)
    ratios = []
    for _ in range(21):
        times = []
        for call in (lambda: codec.compress(field, nrmse=1e-3), lambda: c.compress(1e-3)):
            begin = time.process_time()
            call()
            times.append(time.process_time() - begin)
        ratios.append(times[0] / times[1])
    c.close()
    print(f"Python over C: median {np.median(ratios):.4f}, quartiles {np.quantile(ratios, [0.25, 0.75])}")
    assert np.median(ratios) < 1.1


@pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names no tool")
def test_the_tool_reads_and_writes_the_same(tmp_path: Path) -> None:
    field = waves((12, 40, 48))
    np.save(tmp_path / "u.npy", field)
    subprocess.run([TOOL, "compress", "u.npy", "-o", "u.fp", "--bound", "rel=1e-3"], cwd=tmp_path, check=True)
    stream = (tmp_path / "u.fp").read_bytes()
    assert fieldpress.compress(field, rel=1e-3) == stream
    np.testing.assert_array_equal(
        fieldpress.decompress(stream), fieldpress.decompress(np.fromfile(tmp_path / "u.fp", "u1"))
    )


def test_the_input_is_not_copied() -> None:
    memory = np.zeros((34, 130, 130), "f4")
    inner = memory[1:-1, 1:-1, 1:-1]
    for array in (memory, inner, np.asfortranarray(memory), inner.transpose(2, 0, 1)):
        run, dims, strides = _arrays.strided(array)
        assert run.ctypes.data == array.ctypes.data and np.shares_memory(run, array)
        assert dims == list(array.shape) and [4 * s for s in strides] == list(array.strides)
    tracemalloc.start()
    try:
        fieldpress.compress(inner, rel=1e-2, **QUICK)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < inner.nbytes / 8, peak


def test_the_output_is_decoded_in_place(field: np.ndarray) -> None:
    stream = fieldpress.compress(field, rel=1e-2, **QUICK)
    out = np.empty((12, 40, 48), "f4")
    tracemalloc.start()
    try:
        fieldpress.decompress(stream, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < out.nbytes / 2, peak


def test_the_gil_is_released() -> None:
    field = waves((48, 256, 256))
    spans: list[float] = []

    def work() -> None:
        begin = time.perf_counter()
        fieldpress.compress(field, rel=1e-4, effort=1, fm=False, threads=1)
        spans.append(time.perf_counter() - begin)

    thread = threading.Thread(target=work)
    thread.start()
    longest, last = 0.0, time.perf_counter()
    while thread.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < spans[0] / 2, (longest, spans)


def test_threads_share_a_codec(field: np.ndarray) -> None:
    codec = fieldpress.Codec(effort=1, fm=False)
    fields = [field + np.float32(k) for k in range(8)]
    expected = [codec.compress(one, rel=1e-3) for one in fields]
    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(lambda one: codec.compress(one, rel=1e-3), fields))
        assert streams == expected
        for one, decoded in zip(fields, pool.map(codec.decompress, streams), strict=True):
            assert fieldpress.quality(one, decoded).holds(rel=1e-3)


def _compress(field: np.ndarray) -> bytes:
    return fieldpress.compress(field, rel=1e-3, effort=1, fm=False, threads=2)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_compress(field: np.ndarray) -> None:
    expected = _compress(field)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_compress, [field] * 3) == [expected] * 3


PROGRAM = """
import sys, numpy as np, fieldpress
assert "onnxruntime" not in sys.modules
t, y, x = np.meshgrid(np.arange(9), np.arange(64), np.arange(64), indexing="ij")
field = (np.sin((x + 3 * t) * 0.2) * np.cos((y - 2 * t) * 0.15)).astype("f4")
stream = fieldpress.compress(field, nrmse=1e-3, fm="on")
info = fieldpress.inspect(stream)
assert info.model is not None and info.fm_share > 0, info
assert fieldpress.quality(field, fieldpress.decompress(stream)).holds(nrmse=1e-3)
loaded, what = fieldpress.runtime_status()
assert loaded and "onnxruntime/capi" in what, what
assert "onnxruntime" not in sys.modules
"""


def test_the_model_works_from_the_wheel() -> None:
    pytest.importorskip("onnxruntime")
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DYLIB_PATH", "FIELDPRESS_ONNXRUNTIME")}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


def test_without_onnx_runtime() -> None:
    program = """
import numpy as np, fieldpress, pytest
field = np.random.default_rng(1).normal(size=(8, 32, 32)).cumsum(2).astype("f4")
fieldpress.decompress(fieldpress.compress(field, rel=1e-3))
with pytest.raises(fieldpress.RuntimeUnavailable, match="FIELDPRESS_ONNXRUNTIME names /nowhere"):
    fieldpress.compress(field, rel=1e-3, fm="on")
"""
    environment = os.environ | {"FIELDPRESS_ONNXRUNTIME": "/nowhere/libonnxruntime.so"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_other_versions_of_onnx_runtime_are_not_used(tmp_path: Path) -> None:
    capi = tmp_path / "onnxruntime" / "capi"
    capi.mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").touch()
    (capi / "libonnxruntime.so.1.9.0").touch()
    program = """
import os, warnings, fieldpress
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fieldpress.Codec()
assert "onnxruntime 1.9 is installed; fieldpress uses versions from 1.20" in str(caught[0].message)
assert "FIELDPRESS_ONNXRUNTIME" not in os.environ
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DYLIB_PATH", "FIELDPRESS_ONNXRUNTIME")}
    environment["PYTHONPATH"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
