"""What the tests in Python share: a field, and ADIOS2 and HDF5 with the plugins. Nothing here is a package of ours."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

BUILD = Path(os.environ["FIELDPRESS_BUILD"])
os.environ["ADIOS2_PLUGIN_PATH"] = str(BUILD / "plugins/adios2")
os.environ["HDF5_PLUGIN_PATH"] = str(BUILD / "plugins/hdf5")

FILTER_ID = 413
KINDS = {"abs": 1, "rel": 2, "nrmse": 3, "psnr": 4, "block_l2": 5, "lossless": 6, "pw_rel": 8}


def field(shape: tuple[int, int, int] = (16, 64, 96), dtype: str = "f4") -> np.ndarray:
    """A travelling wave with a little roughness, so that every part of a stream has something in it."""
    t, y, x = np.indices(shape)
    rough = np.random.default_rng(1).normal(size=shape)
    return (5 * np.sin(0.11 * x + 0.3 * t) * np.cos(0.07 * y) + 0.01 * rough).astype(dtype)


def filter_parameters(kind: str, value: float = 0.0, effort: int = 1) -> tuple[int, int, int, int]:
    """The HDF5 filter's parameters, as docs/hosts.md describes them."""
    low, high = struct.unpack("<2I", struct.pack("<d", value))
    return KINDS[kind], low, high, effort


class HostTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs code in a process of its own, which may end as it likes."""
        return subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | environment | {"PYTHONPATH": str(Path(__file__).parent)},
        )
