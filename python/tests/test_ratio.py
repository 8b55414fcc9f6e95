"""Streams of a size that is asked for: never larger, hardly smaller, and as they say."""

import numpy as np
import pytest
from conftest import QUICK, waves
from hypothesis import given, settings
from hypothesis import strategies as st

import fieldpress


@pytest.mark.parametrize("ratio", [2, 3.5, 10, 50, 200])
def test_streams_are_as_small_as_asked(ratio: float) -> None:
    field = waves((16, 64, 72))
    stream, report = fieldpress.Codec(**QUICK).compress_with_report(field, ratio=ratio)
    assert field.nbytes / 1.12 <= len(stream) * ratio <= field.nbytes
    assert report.ratio >= ratio and report.info.bound.kind == "nrmse"
    there = fieldpress.quality(field, fieldpress.decompress(stream))
    assert there.nrmse <= report.info.bound.value and there.nrmse <= report.info.nrmse * (1 + 1e-9)
    assert fieldpress.compress(field, ratio=ratio, **QUICK) == stream
    # A bound that is a quarter tighter does not fit, or hardly.
    tighter = fieldpress.compress(field, nrmse=report.info.bound.value / 1.25, **QUICK)
    assert len(tighter) > len(stream)


def test_noise_is_a_cliff() -> None:
    """Just above the noise a stream is a fraction of what it is just below: the search must not stay above."""
    t, y, x = np.indices((16, 64, 96))
    noise = np.random.default_rng(1).normal(0, 0.01, t.shape)
    field = (5 * np.sin(0.11 * t + 0.22 * y + 0.11 * x) + noise).astype("f4")
    for ratio in (12, 20, 40):
        assert len(fieldpress.compress(field, ratio=ratio, threads=1)) * ratio > 0.9 * field.nbytes


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(300,), (40, 50), (6, 20, 20)]), st.floats(1, 30), st.floats(0, 2))
def test_no_stream_is_larger(seed: int, shape: tuple[int, ...], ratio: float, rough: float) -> None:
    rng = np.random.default_rng(seed)
    field = waves(shape) + (rough * rng.normal(size=shape)).astype("f4")
    try:
        stream = fieldpress.compress(field, ratio=ratio, **QUICK)
    except fieldpress.InvalidArgument as error:
        assert "cannot be had" in str(error)
        # A stream has a header.
        assert field.nbytes / ratio < 400 or ratio < 1.2
    else:
        assert len(stream) * ratio <= field.nbytes


def test_what_fits_is_lossless() -> None:
    field = np.repeat(np.arange(64, dtype="f4"), 4096).reshape(64, 64, 64)
    stream, report = fieldpress.Codec(**QUICK).compress_with_report(field, ratio=4)
    assert np.array_equal(fieldpress.decompress(stream), field)
    assert report.ratio > 4
    constant = np.full((8, 32, 32), 2.5, "f4")
    assert np.array_equal(fieldpress.decompress(fieldpress.compress(constant, ratio=100, **QUICK)), constant)


def test_ratios_that_cannot_be() -> None:
    field = waves((4, 20, 20))
    for ratio in (0, 0.5, -1, float("nan"), float("inf")):
        with pytest.raises(fieldpress.InvalidArgument, match="from 1 on"):
            fieldpress.compress(field, ratio=ratio, **QUICK)
    with pytest.raises(fieldpress.InvalidArgument, match="cannot be had"):
        fieldpress.compress(field, ratio=1e6, **QUICK)
    with pytest.raises(fieldpress.InvalidArgument, match="ratio, nrmse"):
        fieldpress.compress(field, ratio=10, nrmse=1e-3)
    with pytest.raises(TypeError):
        fieldpress.StepStream((20, 20), ratio=10)
    with pytest.raises(TypeError):
        fieldpress.h5(ratio=10)
