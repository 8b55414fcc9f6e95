"""The library's calls for archives over its C interface: what the tests compare with."""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from types import TracebackType

import numpy as np

MOST = 5
BOUNDS = {"abs": 1, "rel": 2, "nrmse": 3, "psnr": 4, "block_l2": 5, "lossless": 6, "pw_rel": 8}


class Field(ctypes.Structure):
    """`fieldpress_field`."""

    _fields_ = (
        ("data", c_void_p),
        ("dtype", c_int32),
        ("ndim", c_uint32),
        ("dims", c_size_t * MOST),
        ("strides", c_size_t * MOST),
    )


def field_of(values: np.ndarray) -> Field:
    assert values.flags.c_contiguous
    dims = (c_size_t * MOST)(*values.shape)
    return Field(values.ctypes.data, 1 if values.dtype.itemsize == 4 else 2, values.ndim, dims)


class Library:
    """A loaded `libfieldpress.so`."""

    def __init__(self, path: str) -> None:
        self.calls = ctypes.CDLL(path)
        self.calls.fieldpress_last_error.restype = c_char_p

    def call(self, name: str, *arguments: object) -> None:
        if getattr(self.calls, name)(*arguments):
            raise RuntimeError(self.calls.fieldpress_last_error().decode())


class Writer:
    """An archive that is written."""

    def __init__(self, library: Library, path: Path, options: str) -> None:
        self.library = library
        self.handle = c_void_p()
        library.call("fieldpress_archive_open_serial", str(path).encode(), options.encode(), byref(self.handle))

    def define(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> int:
        variable = c_uint32()
        dims = (c_size_t * len(shape))(*shape)
        kind = c_int32(1 if dtype.itemsize == 4 else 2)
        count = c_uint32(len(shape))
        self.library.call("fieldpress_archive_define", self.handle, name.encode(), kind, count, dims, byref(variable))
        return variable.value

    def step(self, time: float, variable: int, boxes: list[tuple[tuple[int, ...], np.ndarray]], bound: str) -> None:
        """A step of one variable, in boxes with their starts."""
        self.library.call("fieldpress_archive_begin_step", self.handle, c_double(time))
        kind, _, value = bound.partition("=")
        for start, values in boxes:
            where = (c_size_t * len(start))(*start)
            field = field_of(values)
            self.library.call(
                "fieldpress_archive_put",
                self.handle,
                c_uint32(variable),
                where,
                byref(field),
                c_int32(BOUNDS[kind]),
                c_double(float(value or 0)),
            )
        self.library.call("fieldpress_archive_end_step", self.handle, None)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handle, self.handle = self.handle, c_void_p()
        status = self.library.calls.fieldpress_archive_close(handle)
        if status and not error:
            raise RuntimeError(self.library.calls.fieldpress_last_error().decode())


def read_step(library: Library, path: Path, variable: int, step: int, out: np.ndarray, missing: float) -> None:
    """Reads a step of a variable as the library does."""
    handle = c_void_p()
    library.call("fieldpress_reader_open", str(path).encode(), None, byref(handle))
    try:
        field = field_of(out)
        hole = c_double(missing)
        library.call(
            "fieldpress_reader_read",
            handle,
            c_uint32(variable),
            c_uint64(step),
            c_uint64(1),
            POINTER(c_size_t)(),
            POINTER(c_size_t)(),
            byref(hole),
            byref(field),
        )
    finally:
        library.calls.fieldpress_reader_close(handle)
