"""Damaged golden streams with right checksums: the tool and this decoder refuse the same ones and agree on the others.

`FIELDPRESS_TOOL` names the tool; without it they are left out. `FIELDPRESS_EXAMPLES` is how many streams are tried.
"""

import os
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sealing import same, seal
from streamdecoder import Corrupt, NeedsModel, Unsupported, decode, inspect
from streamdecoder.data import Reader
from streamdecoder.header import read_header

TOOL = os.environ.get("FIELDPRESS_TOOL")
EXAMPLES = int(os.environ.get("FIELDPRESS_EXAMPLES", "150"))
GOLDEN = Path(__file__).parents[1] / "assets/golden"
MOST_VALUES = 300_000

pytestmark = pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names no tool")


def changed(data: bytes, at: int, chance: random.Random) -> bytes:
    """The same with one byte another."""
    byte = chance.choice([data[at] ^ 1 << chance.randrange(8), chance.randrange(256), 0, 1, 255])
    return data[:at] + bytes([byte]) + data[at + 1 :]


def damaged(data: bytes, chance: random.Random) -> bytes:
    _, sections = inspect(data)
    reader = Reader(data)
    read_header(reader)
    head = data[: reader.at]
    if not sections or chance.random() < 0.35:
        return seal(changed(head, chance.randrange(6, len(head)), chance), sections)
    number = chance.randrange(len(sections))
    section = sections[number]
    # What a segment begins with says most.
    at = chance.randrange(min(len(section), 40) if chance.random() < 0.5 else len(section))
    kind = chance.random()
    if kind < 0.12:
        section = section[:at] + section[at + chance.randrange(1, 5) :]
    elif kind < 0.2:
        section = section[:at] + bytes([chance.randrange(256)]) + section[at:]
    else:
        section = changed(section, at, chance)
    return seal(head, [*sections[:number], section, *sections[number + 1 :]])


def test_the_tool_says_the_same_of_damaged_streams(tmp_path: Path) -> None:
    assert TOOL is not None
    chance = random.Random(21)
    # Without the large one, which takes seconds, and those with a model.
    names = [path for path in sorted(GOLDEN.glob("*.fp")) if not path.stem.startswith(("fm", "tiles"))]
    refused = decoded = 0
    for _ in range(EXAMPLES):
        source = chance.choice(names)
        data = damaged(source.read_bytes(), chance)
        try:
            if read_header(Reader(data)).values > MOST_VALUES:
                continue
        except (Corrupt, Unsupported):
            pass
        stream, out = tmp_path / "x.fp", tmp_path / "x.npy"
        stream.write_bytes(data)
        command = [TOOL, "decompress", str(stream), "-o", str(out), "--threads", "1"]
        tool = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            with np.errstate(all="ignore"):
                values = decode(data).values
        except NeedsModel:
            continue
        except (Corrupt, Unsupported) as error:
            assert tool.returncode == 3, f"{source.stem}: {error}, and the tool has no error; {data.hex()}"
            refused += 1
            continue
        # Models that no segment uses are missed by the tool alone.
        if tool.returncode != 0 and "model" in tool.stderr:
            continue
        assert tool.returncode == 0, f"{source.stem}: {tool.stderr}; {data.hex()}"
        assert same(values, np.load(out)), f"{source.stem}: {data.hex()}"
        decoded += 1
    assert refused > EXAMPLES // 4 and decoded > EXAMPLES // 8
