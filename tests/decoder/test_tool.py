"""Random small fields: what the tool makes of them decodes here to what the tool decodes, bit for bit.

`FIELDPRESS_TOOL` names the tool; without it they are left out. `FIELDPRESS_EXAMPLES` is how many fields are tried.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamdecoder import decode

TOOL = os.environ.get("FIELDPRESS_TOOL")
EXAMPLES = int(os.environ.get("FIELDPRESS_EXAMPLES", "150"))
MOST_POINTS = 3000
FILL = -9999.0

pytestmark = pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names no tool")


@dataclass
class Case:
    values: np.ndarray
    bound: str
    options: list[str] = field(default_factory=list)


def pattern(shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> np.ndarray:
    """A field of a kind, within a few units of 0."""
    grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    waves = sum(np.sin((0.05 + 0.2 * rng.random()) * grid + 6 * rng.random()) for grid in grids)
    if kind == "waves":
        return waves
    if kind == "noisy":
        return waves + 0.05 * rng.standard_normal(shape)
    if kind == "noise":
        return rng.standard_normal(shape)
    if kind == "spikes":
        return waves + np.where(rng.random(shape) > 0.98, 30 * rng.standard_normal(shape), 0)
    if kind == "steps":
        return np.round(2 * waves)
    if kind == "rain":
        return np.maximum(waves - 0.7, 0)
    return np.full(shape, waves.flat[0])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # Sizes come from a generator of their own: hypothesis would make most of them 1.
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    dimensions = draw(st.integers(1, 5))
    shape = [1] * dimensions
    room = MOST_POINTS
    for axis in rng.permutation(dimensions):
        shape[axis] = int(np.exp(rng.uniform(0, np.log(min(room, 60 if dimensions > 1 else room) + 0.9))))
        room //= shape[axis]
    kind = draw(st.sampled_from(["waves", "noisy", "noise", "spikes", "steps", "rain", "constant"]))
    scale = 10.0 ** draw(st.sampled_from([0, 0, 0, 3, -3, 12, -12, 30, -30]))
    offset = draw(st.sampled_from([0.0, 0.0, 1.0, 273.15, 1e5]))
    values = ((pattern(tuple(shape), kind, rng) + offset) * scale).astype(draw(st.sampled_from(["<f4", "<f8"])))
    span = float(values.max()) - float(values.min()) or scale
    options = ["--effort", draw(st.sampled_from(["0", "1", "1", "2"]))]
    frames = draw(st.sampled_from([0, 0, 1, 3, 5, 8, 16]))
    of_volumes = dimensions >= 4 and draw(st.booleans())
    if of_volumes or (dimensions >= 3 and draw(st.booleans())):
        axes = draw(st.permutations(range(dimensions)))[: 4 if of_volumes else 3]
        options += ["--axes", ",".join(map(str, axes))]
    if draw(st.integers(0, 2)) == 0:
        mask(values, draw, rng)
        options += [f"--fill-value={FILL}"]
    fraction = 10.0 ** draw(st.floats(-5, -1))
    points = values.size
    bound = draw(
        st.sampled_from(
            [
                f"abs={fraction * span!r}",
                f"rel={fraction!r}",
                f"nrmse={fraction!r}",
                f"pw_rel={fraction!r}",
                f"psnr={draw(st.integers(20, 130))}",
                "lossless",
                # Whose blocks lie in frames that are planes.
                *([] if of_volumes else [f"block_l2={fraction * span * min(points, 512) ** 0.5!r}"]),
            ]
        )
    )
    if frames:
        # Segments must not cut the blocks of 8 frames of `block_l2`.
        options += ["--segment", str(8 * frames if bound.startswith("block") else frames)]
    return Case(values, bound, options)


def mask(values: np.ndarray, draw: st.DrawFn, rng: np.random.Generator) -> None:
    """Puts special patterns in places, one of them where a smooth field is high."""
    where = rng.random(values.shape)
    high = values > np.quantile(values, draw(st.sampled_from([0.5, 0.9, 0.0])))
    values[high] = FILL
    for special, share in ((np.nan, 0.03), (np.inf, 0.02), (-np.inf, 0.02)):
        if draw(st.booleans()):
            values[where < share] = special
            where[where < share] = 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert TOOL is not None
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)


def compare(case: Case) -> None:
    """Compresses a field with the tool, and compares what the tool and this decoder make of the stream."""
    with tempfile.TemporaryDirectory() as folder:
        original, stream, decoded = (str(Path(folder) / name) for name in ("x.npy", "x.fp", "y.npy"))
        np.save(original, case.values)
        command = ["compress", original, "-o", stream, "--bound", case.bound, "--fm", "off", "--threads", "1"]
        made = run(*command, *case.options)
        # A bound that no stream reaches is an error of its own.
        if made.returncode == 4:
            return
        assert made.returncode == 0, made.stderr
        read = run("decompress", stream, "-o", decoded, "--threads", "1")
        assert read.returncode == 0, read.stderr
        wanted = np.load(decoded)
        values = decode(Path(stream).read_bytes()).values
        assert values.shape == wanted.shape and values.dtype == wanted.dtype
        assert values.tobytes() == wanted.tobytes()


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(cases())
def test_decodes_what_the_tool_decodes(case: Case) -> None:
    compare(case)


@pytest.mark.parametrize("shape", [(400, 410), (2, 800, 170), (170, 800)])
def test_fields_of_several_tiles(shape: tuple[int, ...]) -> None:
    values = pattern(shape, "waves", np.random.default_rng(3)).astype("<f4")
    compare(Case(values, "nrmse=1e-2", ["--effort", "0"]))


def test_a_lossless_field_of_several_sections() -> None:
    values = np.round(pattern((600, 900), "waves", np.random.default_rng(5)), 3)
    compare(Case(values, "lossless"))
