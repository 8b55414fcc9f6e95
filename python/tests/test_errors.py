"""Errors are exceptions that say what was wrong."""

import inspect
from typing import Any

import numpy as np
import pytest
from conftest import QUICK

import fieldpress
from fieldpress import _fieldpress


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {},
            ValueError,
            "no bound is given; expected one of abs=, rel=, nrmse=, psnr=, block_l2=, lossless=True, pw_rel=",
        ),
        ({"abs": 1, "rel": 1}, ValueError, "the bounds abs, rel are given"),
        ({"rel": -1}, ValueError, "finite and greater than 0"),
        ({"lossless": False}, ValueError, "no bound is given"),
        ({"rel": 1e-3, "effort": 7}, ValueError, "expected 0, 1 or 2"),
        ({"rel": 1e-3, "axes": (0, 1)}, ValueError, "three or four axis numbers"),
        ({"rel": 1e-3, "axes": (0, 1, 5)}, ValueError, "5"),
        ({"rel": 1e-3, "threads": 0}, ValueError, "from 1 to 1024"),
        ({"rel": 1e-3, "efort": 1}, TypeError, "'efort' is not known; expected a bound .* or an option"),
    ],
)
def test_settings(field: np.ndarray, settings: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fieldpress.compress(field, **settings)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), "i4"), "type int32; expected float32 or float64"),
        (np.zeros((4, 4), "c8"), "type complex64"),
        (np.zeros((4, 4), bool), "type bool"),
        (np.zeros((4, 4), np.longdouble), "type float128"),
        (np.array("text"), "type <U4"),
        (np.float32(1), "0 dimensions given"),
        (np.zeros((4, 0), "f4"), "contain a zero"),
        (np.zeros((1,) * 6, "f4"), "6 dimensions given; expected 1 to 5"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else str(getattr(value, "dtype", "")),
)
def test_arrays(array: Any, message: str) -> None:
    with pytest.raises(fieldpress.InvalidArgument, match=message):
        fieldpress.compress(array, rel=1e-3, **QUICK)


def test_damaged_streams(field: np.ndarray) -> None:
    stream = bytearray(fieldpress.compress(field, rel=1e-3, **QUICK))
    stream[-1] ^= 1
    with pytest.raises(fieldpress.CorruptError, match="checksum"):
        fieldpress.decompress(stream)
    for bytes_ in (b"", b"no stream", bytes(stream[: len(stream) // 2])):
        with pytest.raises(fieldpress.CorruptError):
            fieldpress.inspect(bytes_)
    with pytest.raises(TypeError):
        fieldpress.decompress("text")
    with pytest.raises(fieldpress.InvalidArgument, match="gaps"):
        fieldpress.decompress(memoryview(bytes(stream))[::2])


def test_streams_from_any_buffer(field: np.ndarray) -> None:
    stream = fieldpress.compress(field, rel=1e-3, **QUICK)
    whole = fieldpress.decompress(stream)
    for buffer in (bytearray(stream), memoryview(stream), np.frombuffer(stream, "u1")):
        np.testing.assert_array_equal(fieldpress.decompress(buffer), whole)


def test_models(field: np.ndarray, tmp_path: Any) -> None:
    with pytest.raises(fieldpress.ModelError):
        fieldpress.compress(field, rel=1e-3, model=tmp_path / "none")


def test_hierarchy() -> None:
    assert issubclass(fieldpress.InvalidArgument, ValueError)
    assert issubclass(fieldpress.RuntimeUnavailable, RuntimeError)
    assert issubclass(fieldpress.IoError, OSError)
    for name in ("CorruptError", "UnsupportedError", "ModelError", "InternalError", "IoError", "InvalidArgument"):
        assert issubclass(getattr(fieldpress, name), fieldpress.FieldpressError)


def test_a_panic_is_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(fieldpress.InternalError, match="fieldpress panicked: asked to"):
        _fieldpress.panic_in_call()
    assert capfd.readouterr().err == ""


def test_signatures_show_keywords() -> None:
    for function, expected in (
        (fieldpress.compress, {"array", "nrmse", "lossless", "effort", "segment", "fill_value"}),
        (fieldpress.Codec.compress, {"array", "abs", "psnr"}),
        (fieldpress.Codec, {"threads", "device", "axes"}),
    ):
        assert expected <= set(inspect.signature(function).parameters)
    # What the signatures show is what the library takes.
    assert set(fieldpress.Bounds.__annotations__) == set(_fieldpress.BOUND_NAMES)
    assert set(fieldpress.Options.__annotations__) == {name for name, _ in _fieldpress.OPTION_KEYS}
