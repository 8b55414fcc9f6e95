"""What fine-tuning says to users' files that it cannot use, and how it takes the others."""

from pathlib import Path

import numpy as np
import pytest

from training import userdata
from training.finetune import side_by_side
from training.gain import GainConfig, fields, gain


def moving(frames: int = 9, dtype: type = np.float32) -> np.ndarray:
    t, x = np.arange(frames)[:, None, None], np.arange(32)
    return np.broadcast_to(100 * np.sin(t / 5 + x / 4), (frames, 32, 32)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("factor", [1, 1e300])
def test_any_type_and_unit_trains_alike(tmp_path: Path, dtype: type, factor: float) -> None:
    if factor > 1 and dtype != np.float64:
        pytest.skip("no such values")
    np.save(tmp_path / "a.npy", moving(dtype=dtype) * dtype(factor))
    userdata.prepare(tmp_path / "a.npy", tmp_path / "out" / "a.npy", (1,))
    made = np.load(tmp_path / "out" / "a.npy")
    assert made.dtype == np.float32 and made.min() == -0.5 and made.max() == 0.5
    plain = moving()
    middle = (float(plain.max()) + float(plain.min())) / 2
    assert np.abs(made - (plain - middle) / (float(plain.max()) - float(plain.min()))).max() < 6e-3


def hole(value: float, frames: slice = slice(4, 5)) -> np.ndarray:
    made = moving()
    made[frames, 3, 3] = value
    return made


@pytest.mark.parametrize(
    ("values", "distances", "says"),
    [
        (moving()[0], (1,), "has 2 dimensions, (32, 32)"),
        (moving()[None], (1,), "has 4 dimensions"),
        (moving() > 0, (1,), "it holds bool"),
        (moving() * 1j, (1,), "it holds complex64"),
        (moving(8), (1,), "8 frames are too few for a frame distance of 1, which takes 9"),
        (moving(40), (1, 8), "40 frames are too few for a frame distance of 8, which takes 65"),
        (hole(np.nan), (1,), "1 values of frame 4 are NaN or infinite"),
        (hole(np.inf), (1,), "1 values of frame 4 are NaN or infinite"),
        (np.full((9, 32, 32), 3.0), (1,), "all values are 3"),
        (np.repeat(moving()[:1], 9, axis=0), (1,), "values change by 0.0e+00 of their range"),
        (hole(1e20, slice(None)), (1,), "to 1e+20; is one of these a fill value?)"),
    ],
)
def test_what_cannot_train_is_named(tmp_path: Path, values: np.ndarray, distances: tuple[int, ...], says: str) -> None:
    path = tmp_path / "mine.npy"
    np.save(path, values)
    with pytest.raises(ValueError) as wrong:
        userdata.prepare(path, tmp_path / "out" / "mine.npy", distances)
    assert str(path) in str(wrong.value) and says in str(wrong.value) and "[frames, H, W]" in str(wrong.value)
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.npy"
    path.write_text("no array")
    with pytest.raises(ValueError, match=r"mine.npy: no array of numbers"):
        userdata.prepare(path, tmp_path / "out.npy", (1,))


def fails(run: float) -> None:
    raise FloatingPointError(f"after {run}")


def lasts(run: float) -> None:
    import time

    time.sleep(run)


def test_the_first_failure_ends_both_trainings() -> None:
    with pytest.raises(FloatingPointError, match="after 3"):
        side_by_side([(lasts, 600), (fails, 3)])
    side_by_side([(lasts, 0), (lasts, 0)])


def test_gain_names_files_that_it_cannot_measure(tmp_path: Path) -> None:
    path = tmp_path / "mine.npy"
    for values, says in (
        (moving(3), "mine.npy: of 3 frames no distance"),
        (hole(np.nan), "mine.npy: every 1th frame has values"),
    ):
        np.save(path, values)
        with pytest.raises(ValueError, match=says):
            list(fields([("given", path)], 24, 32, (1, 2)))
    with pytest.raises(ValueError, match="the modes lack off"):
        gain(GainConfig([path], tmp_path / "out.csv", path, path, tmp_path, modes=("auto", "on")))
