"""Where ONNX Runtime is: its shared library inside of the package ``onnxruntime``, where that is installed."""

import importlib.util
import os
import re
import warnings
from pathlib import Path

#: Versions of ONNX Runtime that are used from the package: at least the first, below the second.
VERSIONS = ((1, 20), (2, 0))
#: What names the library already: fieldpress's own variable, and that of other programs.
VARIABLES = ("FIELDPRESS_ONNXRUNTIME", "ORT_DYLIB_PATH")


def _library() -> tuple[Path, tuple[int, ...]] | None:
    """File and version of the package's library; the package is not imported, which would take a second."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted((Path(folder) / "capi").glob("libonnxruntime.so.*")):
            if match := re.fullmatch(r"libonnxruntime\.so\.(\d+)\.(\d+)(\.\d+)*", file.name):
                return file, (int(match[1]), int(match[2]))
    return None


def locate() -> None:
    """Names the package's library in the environment, which the library reads when a model is first needed.

    Nothing is done where a variable names one already, or where no such package is installed.
    """
    if any(os.environ.get(name) for name in VARIABLES):
        return
    found = _library()
    if found is None:
        return
    file, version = found
    if VERSIONS[0] <= version < VERSIONS[1]:
        os.environ[VARIABLES[0]] = str(file)
        return
    low, high = (".".join(map(str, v)) for v in VERSIONS)
    warnings.warn(
        f"onnxruntime {'.'.join(map(str, version))} is installed; fieldpress uses versions from {low} to below {high}, "
        f"and works without the model. {VARIABLES[0]} may name another library.",
        RuntimeWarning,
        stacklevel=3,
    )
