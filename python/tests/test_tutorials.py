"""The pages of docs/tutorials: their blocks of code run, and print what the pages say (tutorial.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tutorial import ROOT, agrees, is_part_of

#: What CMake builds in the repository: plugins, examples, libraries.
BUILD = ROOT / "build"
TOOL = os.environ.get("FIELDPRESS_TOOL", "")
PAGES = sorted((ROOT / "docs/tutorials").glob("*.md"))


@pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names the command-line tool")
@pytest.mark.skipif(not (BUILD / "plugins").exists(), reason="CMake has not built plugins and examples in build/")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path) -> None:
    for name in ("build", "examples", "include", "mpi-examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(TOOL).parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "FIELDPRESS_PYTHON": sys.executable,
        "FIELDPRESS_HDF5_PLUGIN": str(BUILD / "plugins/hdf5"),
        "FIELDPRESS_ADIOS2_PLUGIN": str(BUILD / "plugins/adios2"),
        "FIELDPRESS_ROOT": str(ROOT),
        # Open MPI on machines with fewer cores than ranks, and in containers.
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    # As for users, who say no more than the page does; what importing fieldpress set here is no part of it.
    for name in ("HDF5_PLUGIN_PATH", "ADIOS2_PLUGIN_PATH", "ORT_DYLIB_PATH", "FIELDPRESS_ONNXRUNTIME"):
        environment.pop(name, None)
    runner = Path(__file__).parent / "tutorial.py"
    done = subprocess.run(
        [sys.executable, str(runner), str(page)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runner_sees_differences() -> None:
    assert agrees("a 12 b\nc\n", "a … b\nc") and not agrees("a 12 b\nc\n", "a … b")
    assert agrees("1.04e-3 of x2", "1e-3 of x2") and not agrees("1.2e-3", "1e-3") and not agrees("2 of 4", "2 of 5")
    assert is_part_of("x\n  y\n", "w\n    x\n    y\nz\n") and not is_part_of("x\nz\n", "x\ny\nz\n")
