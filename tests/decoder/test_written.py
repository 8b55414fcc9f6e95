"""Random archives that the library writes read here to what it reads: streams that follow others, boxes, data files.

`FIELDPRESS_LIBRARY` names the library; without it they are left out. `FIELDPRESS_ARCHIVES` is how many are tried.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from library import Library, Writer, read_step
from streamdecoder import Archive

LIBRARY = os.environ.get("FIELDPRESS_LIBRARY")
ARCHIVES = int(os.environ.get("FIELDPRESS_ARCHIVES", "40"))
MOST_POINTS = 900
FILL = -9999.0
MISSING = -1.5

pytestmark = pytest.mark.skipif(not LIBRARY, reason="FIELDPRESS_LIBRARY names no library")


def shape_of(chance: random.Random) -> tuple[int, ...]:
    room = MOST_POINTS
    shape = []
    for _ in range(chance.choice([1, 2, 2, 2, 3, 3, 4])):
        shape.append(max(1, int(min(room, 40) ** chance.random())))
        room //= shape[-1]
    chance.shuffle(shape)
    return tuple(shape)


def moving(shape: tuple[int, ...], step: int, noise: float, chance: np.random.Generator) -> np.ndarray:
    """A wave that moves with the steps, under some noise."""
    grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    phase = sum((0.31 - 0.05 * k) * grid for k, grid in enumerate(grids))
    return 20 + 5 * np.sin(phase - 0.2 * step) + noise * chance.standard_normal(shape)


def rain(values: np.ndarray) -> np.ndarray:
    """The same with a floor that many points lie on, and whose mean is kept with offsets of their own."""
    return np.maximum(values - 21, 0)


def boxes_of(values: np.ndarray, halves: bool, corner: bool) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """The whole domain, or two halves, the second of which may be left out."""
    middle = values.shape[0] // 2
    if not halves or middle == 0:
        return [((0,) * values.ndim, values)]
    rest = (0,) * (values.ndim - 1)
    boxes = [((0, *rest), np.ascontiguousarray(values[:middle]))]
    if corner:
        boxes.append(((middle, *rest), np.ascontiguousarray(values[middle:])))
    return boxes


@pytest.mark.parametrize("seed", range(ARCHIVES))
def test_reads_what_the_library_reads(seed: int, tmp_path: Path) -> None:
    assert LIBRARY is not None
    library = Library(LIBRARY)
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    shape, dtype = shape_of(chance), np.dtype(chance.choice(["<f4", "<f8"]))
    window = chance.choice([1, 2, 3, 4, 5, 8, 8, 12])
    bound = chance.choice(
        ["abs=0.05", "rel=1e-3", "nrmse=1e-3", "nrmse=3e-2", "psnr=70", "block_l2=4", "pw_rel=1e-3", "lossless"]
    )
    options = {
        "window": window,
        "keyframe": chance.choice([1, 2, 3, 8]),
        "effort": chance.choice([0, 1, 1, 2]),
        "ranks_per_file": chance.choice([0, 0, 1]),
        "fm": "off",
        "sync": "off",
        "threads": 1,
        "fill_value": FILL,
    }
    grain, masked = chance.choice([0.0, 0.02, 1.0]), chance.random() < 0.3
    halves, corner = chance.random() < 0.4, chance.random() < 0.5
    wet = chance.random() < 0.4
    path = tmp_path / "run.fpa"
    steps = window * chance.choice([1, 2, 3]) + chance.choice([0, 0, 1])
    with Writer(library, path, ";".join(f"{key}={value}" for key, value in options.items())) as writer:
        variable = writer.define("x", dtype, shape)
        for step in range(steps):
            values = moving(shape, step, grain, noise)
            values = (rain(values) if wet else values).astype(dtype)
            if masked:
                values[noise.random(shape) < 0.1] = chance.choice([FILL, np.nan])
            writer.step(0.5 * step, variable, boxes_of(values, halves, corner), bound)
    archive = Archive(path)
    assert archive.steps == steps
    for step in range(steps):
        assert archive.time(step) == 0.5 * step
        wanted = np.zeros(shape, dtype)
        read_step(library, path, variable, step, wanted, MISSING)
        assert archive.read(variable, step, MISSING).tobytes() == wanted.tobytes(), f"step {step}"


def test_many_commits(tmp_path: Path) -> None:
    """More commits than a block of the index holds."""
    assert LIBRARY is not None
    library = Library(LIBRARY)
    path = tmp_path / "run.fpa"
    with Writer(library, path, "fm=off;sync=off;threads=1") as writer:
        variable = writer.define("x", np.dtype("<f4"), (2, 3))
        for step in range(150):
            writer.step(step, variable, [((0, 0), np.full((2, 3), step, "<f4"))], "abs=0.1")
    archive = Archive(path)
    assert len(archive.commits) == archive.steps == 150
    assert all((archive.read(variable, step, MISSING) == step).all() for step in range(150))
