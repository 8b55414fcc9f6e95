"""What the gain table is made of: the frame distance that counts, the means, and what the choice lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training import gain


def sequence(tmp_path: Path, period: float) -> Path:
    """A wave that passes: averaging fails sooner for shorter periods (in frames)."""
    t, x = np.arange(65)[:, None, None], np.arange(32)[None, None, :]
    path = tmp_path / "wave.npy"
    np.save(path, np.broadcast_to(np.sin(2 * np.pi * (t / period + x / 32)), (65, 32, 32)).astype(np.float32))
    return path


def row(**changes: object) -> gain.Row:
    plain = gain.Row("kind", "f", 1, 0.01, True, 4e-3, 1000, 100, 80, 90, 1.0, "hierarchical:8")
    return replace(plain, **changes)


def test_the_average_of_a_wave_misses_by_what_theory_says(tmp_path: Path) -> None:
    values = np.load(sequence(tmp_path, 16))
    expected = (1 - np.cos(2 * np.pi / 16)) * np.sqrt(0.5) / 2
    assert gain.average_nrmse(values) == pytest.approx(expected, rel=0.02)


def test_the_failing_distance_is_the_first_beyond_the_limit(tmp_path: Path) -> None:
    found = list(gain.fields([("wave", sequence(tmp_path, 64))], 12, 16, (1, 2, 4)))
    assert [f.distance for f in found] == [1, 2, 4]
    assert [f.failing for f in found] == [False, True, False]
    assert found[1].values.shape == (12, 16, 16) and found[0].average_nrmse < gain.FAILING < found[1].average_nrmse


def test_tables_show_gains_and_losses(tmp_path: Path) -> None:
    rows = [row(), row(distance=2, failing=False, auto_bytes=101), row(kind="climate", auto_bytes=50)]
    path = tmp_path / "gain.csv"
    gain.write(rows, path)
    assert gain.read(path) == rows
    assert "| kind | `f` | 1 * | 0.01 | 1.250 | 1.111 |" in gain.table(rows)
    text = gain.summary(rows)
    assert "| **simulated kinds** | 1.250 |" in text
    assert "1 of 3" in text and "distance 2, NRMSE 0.004: +1.00%" in text


def test_packages_are_compared_where_both_were_measured() -> None:
    other = [row(auto_bytes=40, on_bytes=30), row(kind="climate", auto_bytes=1), row(distance=2, auto_bytes=1)]
    text = gain.against([row(), row(field="g")], other)
    assert "| `auto`, over `auto` | 2.000 |" in text and "| `on`, over `on` | 3.000 |" in text
