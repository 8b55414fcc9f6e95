"""ADIOS2: importing this module tells it where fieldpress's operator is (docs/hosts.md, ADIOS2).

>>> import fieldpress.adios2, adios2
>>> variable.add_operation_string("plugin", fieldpress.adios2.operator(nrmse=1e-3))
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ._settings import BoundAndOptions, bound, keywords, pairs, split

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: The plugin's file.
PLUGIN = "libfieldpress_adios2.so"
#: Names the plugin's folder, or its file, in place of the one inside of the package.
VARIABLE = "FIELDPRESS_ADIOS2_PLUGIN"


def _activate() -> None:
    named = os.environ.get(VARIABLE)
    told = os.environ.get("ADIOS2_PLUGIN_PATH", "")
    places = [Path(named)] if named else [Path(__file__).parent / "plugins", *map(Path, filter(None, told.split(":")))]
    folders = [place.parent if place.name == PLUGIN else place for place in places]
    folder = next((folder for folder in folders if (folder / PLUGIN).is_file()), None)
    if folder is None:
        raise ImportError(
            f"ADIOS2's plugin {PLUGIN} is not part of this installation; {VARIABLE} may name its folder "
            "(lib/fieldpress/adios2 of a CMake installation)"
        )
    if str(folder) not in told.split(":"):
        os.environ["ADIOS2_PLUGIN_PATH"] = ":".join(filter(None, [str(folder), told]))


@keywords(BoundAndOptions)
def operator(**settings: Unpack[BoundAndOptions]) -> dict[str, str]:
    """The parameters of ADIOS2's operation "plugin" for a bound and options."""
    bounds, options = split(settings)
    kind, value = bound(bounds)
    accuracy = {} if kind == "lossless" else {"accuracy": repr(value)}
    plugin = {"PluginName": "fieldpress", "PluginLibrary": "fieldpress_adios2"}
    return plugin | {"mode": kind.upper()} | accuracy | dict(pairs(options))


_activate()
