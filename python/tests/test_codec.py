"""Compressing and decompressing NumPy's arrays."""

import pickle
from typing import Any

import numpy as np
import pytest
from conftest import QUICK, waves

import fieldpress

BOUNDS: list[dict[str, Any]] = [
    {"nrmse": 1e-3},
    {"abs": 0.05},
    {"rel": 1e-3},
    {"psnr": 60},
    {"block_l2": 0.5},
    {"pw_rel": 1e-3},
    {"lossless": True},
]


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: next(iter(bound)))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_bounds_hold(field: np.ndarray, bound: dict[str, Any], dtype: str) -> None:
    field = field.astype(dtype)
    stream = fieldpress.compress(field, **bound, **QUICK)
    decoded = fieldpress.decompress(stream)
    assert decoded.dtype == field.dtype and decoded.shape == field.shape
    measured = fieldpress.quality(field, decoded)
    assert measured.holds(**bound) and measured.points == field.size
    info = fieldpress.inspect(stream)
    assert info.shape == field.shape and info.dtype == field.dtype and info.stream_bytes == len(stream)
    assert (info.bound.kind, info.bound.value) == (
        next(iter(bound)),
        0 if "lossless" in bound else bound[info.bound.kind],
    )
    assert info.nrmse == pytest.approx(measured.nrmse, rel=1e-9)
    assert info.max_abs_error == pytest.approx(measured.max_abs_error, rel=1e-9)
    assert info.ratio == field.nbytes / len(stream)


def layouts(field: np.ndarray) -> dict[str, np.ndarray]:
    """The same values in memory of different layouts."""
    halo = np.full([n + 4 for n in field.shape], np.nan, field.dtype)
    halo[2:-2, 2:-2, 2:-2] = field
    struct = np.zeros(field.shape, [("u", field.dtype), ("flag", "i1")])
    struct["u"] = field
    pairs = np.zeros(field.shape, [("u", field.dtype), ("v", field.dtype)])
    pairs["u"] = field
    return {
        "c": field,
        "fortran": np.asfortranarray(field),
        "halo": halo[2:-2, 2:-2, 2:-2],
        "reversed": field[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "transposed": field.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        "strided": np.repeat(field, 2, axis=2)[:, :, ::2],
        "unaligned member": struct["u"],
        "member": pairs["u"],
        "read only": np.frombuffer(field.tobytes(), field.dtype).reshape(field.shape),
        "big-endian": field.astype(field.dtype.newbyteorder(">")),
    }


def test_layout_changes_nothing(field: np.ndarray) -> None:
    expected = fieldpress.compress(field, rel=1e-3, **QUICK)
    for name, array in layouts(field).items():
        np.testing.assert_array_equal(array, field)
        assert fieldpress.compress(array, rel=1e-3, **QUICK) == expected, name
    row = np.broadcast_to(field[0], (6, 40, 48))
    assert fieldpress.compress(row, rel=1e-3, **QUICK) == fieldpress.compress(row.copy(), rel=1e-3, **QUICK)


class HasArray:
    """What other packages' arrays look like to NumPy."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array


def test_what_becomes_an_array(field: np.ndarray) -> None:
    expected = fieldpress.compress(field, rel=1e-3, **QUICK)
    assert fieldpress.compress(HasArray(field), rel=1e-3, **QUICK) == expected
    assert fieldpress.compress(field.tolist(), rel=1e-3, **QUICK) == fieldpress.compress(
        field.astype("f8"), rel=1e-3, **QUICK
    )
    half = field.astype("f2")
    decoded = fieldpress.decompress(fieldpress.compress(half, lossless=True, **QUICK))
    assert decoded.dtype == np.float32 and np.array_equal(decoded.astype("f2"), half)


def test_points_without_data(field: np.ndarray) -> None:
    field[0, 3] = np.nan
    field[1, 4, :9] = -99
    field[2, 0, 0] = np.inf
    decoded = fieldpress.decompress(fieldpress.compress(field, rel=1e-3, fill_value=-99, **QUICK))
    measured = fieldpress.quality(field, decoded, fill_value=-99)
    assert measured.masked == 48 + 9 + 1 and measured.holds(rel=1e-3)
    masked = np.ma.masked_where(field == -99, field)
    assert np.isnan(fieldpress.decompress(fieldpress.compress(masked, rel=1e-3, **QUICK))[1, 4, :9]).all()
    kept = fieldpress.compress(masked, rel=1e-3, fill_value=-99, **QUICK)
    assert (fieldpress.decompress(kept)[1, 4, :9] == -99).all()


BOXES = [
    np.s_[...],
    np.s_[3],
    np.s_[-1, 2:5],
    np.s_[2:9, :, 10:20],
    np.s_[..., 7],
    np.s_[:, ::3, -5:],
    np.s_[::-2, 5:1:-1],
    np.s_[0, 0, 0],
    np.s_[4:4],
    np.s_[np.int64(3), :, 1:2],
]


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_boxes_are_as_in_numpy(field: np.ndarray, box: Any) -> None:
    stream = fieldpress.compress(field, rel=1e-3, segment=4, **QUICK)
    whole = fieldpress.decompress(stream)
    expected = whole[box]
    np.testing.assert_array_equal(fieldpress.decompress(stream, box), expected)
    out = np.full(np.shape(expected), 7, "f4")
    assert fieldpress.decompress(stream, box, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_outputs_of_any_layout(field: np.ndarray) -> None:
    stream = fieldpress.compress(field, rel=1e-3, **QUICK)
    whole = fieldpress.decompress(stream)
    for name, out in layouts(np.zeros_like(field)).items():
        if name in ("read only", "big-endian"):
            with pytest.raises(fieldpress.InvalidArgument, match="expected a writable array of float32"):
                fieldpress.decompress(stream, out=out)
        elif name != "unaligned member":
            fieldpress.decompress(stream, out=out)
            np.testing.assert_array_equal(out, whole, name)
    with pytest.raises(fieldpress.InvalidArgument, match=r"shape \(12, 40\)"):
        fieldpress.decompress(stream, np.s_[:, :, 3], out=np.zeros((12, 41), "f4"))


def test_reduced_resolution(field: np.ndarray) -> None:
    stream = fieldpress.compress(field, rel=1e-3, **QUICK)
    half = fieldpress.decompress(stream, scale=2)
    assert half.shape == (12, 20, 24)
    np.testing.assert_array_equal(fieldpress.decompress(stream, np.s_[3:5, 8:16, 2], scale=2), half[3:5, 4:8, 1])
    with pytest.raises(fieldpress.InvalidArgument, match="has steps"):
        fieldpress.decompress(stream, np.s_[::2], scale=2)
    with pytest.raises(fieldpress.InvalidArgument, match="expected 1, 2 or 4"):
        fieldpress.decompress(stream, scale=3)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (np.s_[12], "out of bounds for axis 0 with size 12"),
        (np.s_[0, 0, 0, 0], "4 indices are given for 3 axes"),
        (np.s_[..., ...], "one '...'"),
        (np.s_[None, 0], "NoneType is not supported"),
        (np.s_[[1, 2]], "list is not supported"),
        (np.s_[np.arange(2)], "ndarray is not supported"),
        (np.s_[True], "bool is not supported"),
        (np.s_[1.0], "float is not supported"),
    ],
)
def test_other_indices_are_refused(field: np.ndarray, index: Any, message: str) -> None:
    stream = fieldpress.compress(field, rel=1e-2, **QUICK)
    with pytest.raises(IndexError, match=message):
        fieldpress.decompress(stream, index)


def test_codecs_are_kept_and_pickled(field: np.ndarray) -> None:
    codec = fieldpress.Codec(**QUICK, axes=(0, 1, 2), fill_value=1e20)
    stream, report = codec.compress_with_report(field, nrmse=1e-3)
    assert report.stream_bytes == len(stream) and report.input_bytes == field.nbytes and report.seconds > 0
    assert report.info == fieldpress.inspect(stream) and set(report.stages) >= {"field", "entropy", "check"}
    again = pickle.loads(pickle.dumps(codec))
    assert repr(again) == repr(codec) and again.compress(field, nrmse=1e-3) == stream
    assert again._handle() is codec._handle()
    codec.check((4, 16, 16))
    with pytest.raises(fieldpress.InvalidArgument):
        codec.check((4, 16))


def test_sentinels_are_found_and_kept(field: np.ndarray) -> None:
    holed = field.copy()
    holed[:, 5:20, 7:30] = -9999
    stream, report = fieldpress.Codec(**QUICK).compress_with_report(holed, rel=1e-3)
    assert report.sentinels == (-9999.0,) and report.info.masked == (-9999.0,) and report.info.range < 1000
    decoded = fieldpress.decompress(stream)
    holes = holed == -9999
    assert (decoded[holes] == -9999).all()
    difference = decoded[~holes].astype("f8") - holed[~holes].astype("f8")
    assert abs(difference).max() <= 1e-3 * report.info.range
    assert report.mean_error == pytest.approx(difference.mean(), abs=1e-9)
    _, report = fieldpress.Codec(**QUICK, sentinels="off").compress_with_report(holed, rel=1e-3)
    assert report.sentinels == () and report.info.range > 9000
    given, report = fieldpress.Codec(**QUICK, sentinels="-9999").compress_with_report(holed, rel=1e-3)
    assert report.sentinels == () and given == stream


def test_windows_of_steps(field: np.ndarray) -> None:
    steps = fieldpress.StepStream((40, 48), "f4", window=5, rel=1e-3, **QUICK)
    streams = [steps.push(step) for step in field]
    assert [stream is not None for stream in streams] == [t % 5 == 4 for t in range(12)]
    assert (steps.waiting, steps.window) == (2, 5)
    last = steps.flush()
    assert steps.flush() is None
    for stream, window in zip([*filter(None, streams), last], (field[:5], field[5:10], field[10:]), strict=True):
        assert stream == fieldpress.compress(window, rel=1e-3, **QUICK)
    steps.push(field[0])
    steps.clear()
    assert steps.waiting == 0
    with pytest.raises(fieldpress.InvalidArgument, match="48x40"):
        steps.push(field[0].T)


def test_quality_measures_what_it_says() -> None:
    original = np.array([[0, 10, np.nan], [-99, 5, 5]], "f4")
    decoded = np.array([[1, 10, np.nan], [-99, 5, 3]], "f4")
    measured = fieldpress.quality(original, decoded, fill_value=-99)
    assert (measured.points, measured.masked, measured.masked_changed, measured.changed) == (4, 2, 0, 2)
    assert (measured.range, measured.max_abs_error, measured.mean_error) == (10, 2, -0.25)
    assert measured.rmse == np.sqrt(5 / 4) and measured.max_block_l2 == np.sqrt(5)
    assert measured.pearson == pytest.approx(np.corrcoef([0, 10, 5, 5], [1, 10, 5, 3])[0, 1])
    assert measured.holds(abs=2) and not measured.holds(abs=1.9) and not measured.holds(lossless=True)
    lost = fieldpress.quality(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert lost.max_abs_error == np.inf and not lost.holds(nrmse=1)
    for unit in (1e-200, 1e200):
        x = np.array([[0, 1], [2, 0]]) * unit
        assert fieldpress.quality(x, x + np.array([[0, 0], [-unit, unit]])).nrmse == pytest.approx(np.sqrt(1 / 8))
    with pytest.raises(fieldpress.InvalidArgument, match="cannot be compared"):
        fieldpress.quality(original, decoded[0])
    field = waves((20, 17, 19), "f8")
    error = np.random.default_rng(3).normal(0, 1, field.shape)
    assert fieldpress.quality(field, field + error).max_block_l2 == pytest.approx(
        max(
            np.sqrt((error[t : t + 8, y : y + 8, x : x + 8] ** 2).sum())
            for t in range(0, 20, 8)
            for y in range(0, 17, 8)
            for x in range(0, 19, 8)
        )
    )
