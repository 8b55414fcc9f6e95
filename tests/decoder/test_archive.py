"""The golden archive reads back to what its text says."""

import hashlib
from pathlib import Path

import pytest

from streamdecoder import Archive
from streamdecoder.header import BOUNDS, LOSSLESS_BOUND
from streamdecoder.records import Attribute, Attributes

GOLDEN = Path(__file__).parents[1] / "assets/golden/archives"
TYPES = {4: "f32", 8: "f64"}


def attribute(value: Attribute) -> str:
    if isinstance(value, str):
        return f'Text("{value}")'
    kind = "Integers" if all(isinstance(v, int) for v in value) else "Reals"
    return f"{kind}({value})"


def attributes(those: Attributes) -> str:
    return "[" + ", ".join(f'("{name}", {attribute(value)})' for name, value in those) + "]"


def number(value: float) -> str:
    """As the library's text has it: whole numbers without a point."""
    return repr(value).removesuffix(".0")


def told(archive: Archive) -> str:
    """The text that the library makes of an archive (`tests/archive_format.rs`)."""
    out = attributes(archive.definitions.attributes) + "\n"
    for variable, defined in enumerate(archive.definitions.variables):
        shape = "x".join(map(str, defined.shape))
        out += f"{defined.name} {shape} {TYPES[defined.dtype.itemsize]} {attributes(defined.attributes)}\n"
        for step in range(archive.steps):
            entry, commit = archive.commit_of(step)
            out += f"  {step} {number(archive.time(step))} "
            index = commit.variables.get(variable)
            if index is None:
                out += "nothing\n"
                continue
            bound = BOUNDS[index.bound]
            if index.bound != LOSSLESS_BOUND:
                bound += f"={number(index.bound_value)}"
            depths = [chunk.depth for chunk in archive.chunks(variable, step)]
            digest = hashlib.sha256(archive.read(variable, step, -1.0).tobytes()).hexdigest()
            out += f"{entry.first}..{entry.first + entry.count} {bound} {depths} {digest}\n"
    return out


@pytest.mark.parametrize("name", ["everything", "everything-2"])
def test_the_golden_archives_read_back(name: str) -> None:
    archive = Archive(GOLDEN / f"{name}.fpa")
    assert told(archive) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    # A chunk that follows another, and a step without data in places.
    assert any(chunk.depth for chunk in archive.chunks(0, 4))


@pytest.mark.parametrize("lost", [0, 4096])
def test_either_block_of_the_front_may_be_lost(lost: int, tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "everything-2.fpa").read_bytes())
    data[lost : lost + 4096] = bytes(4096)
    (tmp_path / "broken.fpa").write_bytes(data)
    assert told(Archive(tmp_path / "broken.fpa")) == (GOLDEN / "everything-2.txt").read_text(encoding="utf-8")
