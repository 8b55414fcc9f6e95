"""The records of an archive: superblock, steps, definitions (docs/archive.md, format)."""

from dataclasses import dataclass

import numpy as np

from .data import Corrupt, Reader, Unsupported, crc, require
from .header import PW_REL

SUPERBLOCK = 4096
BLOCK = 512
SLOTS = (512, 1024)
"""In each block with a superblock."""
STEPS, DEFINITIONS = 1, 2
HEADER = 64

Attribute = str | list[int] | list[float]
Attributes = list[tuple[str, Attribute]]


@dataclass
class Entry:
    """A commit: its sequence number, the offset of its record, and its steps."""

    sequence: int
    offset: int
    first: int
    count: int


@dataclass
class Record:
    """A record whose checksums hold."""

    kind: int
    sequence: int
    offset: int
    head: bytes
    body: bytes

    @property
    def end(self) -> int:
        return self.offset + HEADER + len(self.head) + len(self.body)


@dataclass
class Chunk:
    """A box of some steps of a commit: where its stream lies. `depth` chunks of the box must be decoded before it."""

    rank: int
    file: int
    offset: int
    first: int
    steps: int
    depth: int
    start: tuple[int, ...]
    count: tuple[int, ...]
    length: int
    crc: int


@dataclass
class VariableIndex:
    """What a commit has of a variable."""

    bound: int
    bound_value: float
    range: float
    squares: float
    points: int
    chunks: list[Chunk]


@dataclass
class Commit:
    """The body of a step record; chunks count steps from the archive's first one."""

    times: list[float]
    definitions: int
    files: list[str]
    variables: dict[int, VariableIndex]


@dataclass
class Variable:
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    attributes: Attributes


@dataclass
class Definitions:
    attributes: Attributes
    variables: list[Variable]
    model: tuple[str, bytes, int] | None
    """Name, hash and the offset of the record of an embedded model package."""


def read_front(data: bytes) -> tuple[bytes, list[int]]:
    """The id of an archive, and where its slots may lie: version 2 has superblock and slots twice."""
    failure: Corrupt | None = None
    for at in (0, SUPERBLOCK):
        try:
            identity, version = read_superblock(data[at : at + SUPERBLOCK])
        except Corrupt as error:
            failure = failure or error
            continue
        require(at == 0 or version > 1, "not an archive")
        blocks = [0] if version == 1 else [0, SUPERBLOCK]
        return identity, [block + slot for block in blocks for slot in SLOTS]
    assert failure
    raise failure


def read_superblock(data: bytes) -> tuple[bytes, int]:
    """The id and version of a superblock."""
    reader = Reader(data)
    require(reader.take(4) == b"FPAR", "not an archive")
    version = reader.u16()
    if version not in (1, 2):
        raise Unsupported(f"archive version {version}")
    require(reader.u16() == 0, "reserved bytes are set")
    identity = reader.take(16)
    head = crc(data[: reader.at])
    require(reader.u32() == head, "the superblock's checksum is another")
    return identity, version


def read_slot(data: bytes, at: int, identity: bytes) -> tuple[int, int] | None:
    """Sequence number and offset of a step record; None where the slot is not sound."""
    reader = Reader(data[at : at + 40])
    if reader.left() < 40 or reader.take(4) != b"FPCS" or reader.take(16) != identity:
        return None
    sequence, offset = reader.u64(), reader.u64()
    sound = reader.u32() == crc(reader.data[:36]) and SLOTS[sequence % 2] == at % SUPERBLOCK
    return (sequence, offset) if sound else None


def read_record(data: bytes, at: int, identity: bytes, kind: int) -> Record:
    require(at % BLOCK == 0, f"a record at {at}, which is no multiple of {BLOCK}")
    reader = Reader(data)
    reader.at = at
    start = reader.take(HEADER)
    reader.at = at
    require(reader.take(4) == b"FPRC" and crc(start[:60]) == int.from_bytes(start[60:], "little"), f"no record at {at}")
    version = reader.u16()
    if version not in (1, 2):
        raise Unsupported(f"record version {version}")
    found, owner = reader.u16(), reader.take(16)
    sequence, offset = reader.u64(), reader.u64()
    require((found, owner, offset) == (kind, identity, at), f"the record at {at} is another")
    head_length, head_crc = reader.u32(), reader.u32()
    body_length, body_crc = reader.u64(), reader.u32()
    reader.at = at + HEADER
    head, body = reader.take(head_length), reader.take(body_length)
    require(crc(head) == head_crc and crc(body) == body_crc, f"a checksum of the record at {at} is another")
    return Record(kind, sequence, at, head, body)


def read_entry(reader: Reader) -> Entry:
    return Entry(reader.varint(), reader.varint(), reader.varint(), reader.varint())


def read_head(record: Record) -> tuple[Entry, Entry | None, list[Entry]]:
    """A step record's own entry, the last of the block before, and those of its block before it."""
    reader = Reader(record.head)
    own = read_entry(reader)
    require((own.sequence, own.offset) == (record.sequence, record.offset), "a record's entry names another")
    more = reader.u8()
    require(more <= 1, f"a flag of {more}")
    before = read_entry(reader) if more else None
    others = [read_entry(reader) for _ in range(reader.count(4))]
    reader.done("the head of a step record")
    return own, before, others


def read_commit(record: Record, own: Entry, axes: list[int]) -> Commit:
    """A step record's body; `axes` is how many axes each variable has."""
    reader = Reader(record.body)
    times = [reader.f64() for _ in range(own.count)]
    definitions = reader.varint()
    files = [reader.text() for _ in range(reader.count(1))]
    for name in files:
        plain = name.isascii() and name.replace("-", "").isalnum()
        require(plain and len(name) <= 64, f"a data file named {name!r}")
    variables: dict[int, VariableIndex] = {}
    last = -1
    for _ in range(reader.count(1)):
        number = reader.varint()
        require(last < number < len(axes), f"variable {number} after {last}, of {len(axes)}")
        last = number
        bound, value = reader.u8(), reader.f64()
        require(bound <= PW_REL, f"bound {bound}")
        value_range, squares, points = reader.f64(), reader.f64(), reader.varint()
        chunks = read_chunks(reader, own, axes[number], len(files))
        variables[number] = VariableIndex(bound, value, value_range, squares, points, chunks)
    reader.done("the body of a step record")
    return Commit(times, definitions, files, variables)


def read_definitions_offset(record: Record, own: Entry) -> int:
    reader = Reader(record.body)
    reader.take(8 * own.count)
    return reader.varint()


def read_chunks(reader: Reader, own: Entry, axes: int, files: int) -> list[Chunk]:
    out: list[Chunk] = []
    rank = file = end = 0
    for _ in range(reader.count(1 + 2 * axes + 5)):
        flags = reader.u8()
        require(flags < 64 and flags & 3 != 3, f"flags {flags:#x} of a chunk")
        if flags & 3 == 0:
            rank = reader.varint()
        elif flags & 2:
            rank += 1
        if not flags & 4:
            file = reader.varint()
        require(file <= files, f"data file {file} of {files}")
        offset = end if flags & 8 else reader.varint()
        first, steps = (0, own.count) if flags & 16 else (reader.varint(), reader.varint())
        require(steps > 0 and first + steps <= own.count, f"steps {first}, {steps} of {own.count}")
        depth = 0 if flags & 32 else reader.varint()
        start = tuple(reader.varint() for _ in range(axes))
        count = tuple(reader.varint() for _ in range(axes))
        length, checksum = reader.varint(), reader.u32()
        end = offset + length
        out.append(Chunk(rank, file, offset, own.first + first, steps, depth, start, count, length, checksum))
    require(out == sorted(out, key=lambda c: (c.first, c.rank)), "chunks are not sorted by first step, then rank")
    return out


def read_definitions(record: Record) -> Definitions:
    reader = Reader(record.body)
    attributes = read_attributes(reader)
    variables = []
    for _ in range(reader.count(4)):
        name, kind, axes = reader.text(), reader.u8(), reader.u8()
        require(kind <= 1, f"type of values {kind}")
        shape = tuple(reader.varint() for _ in range(axes))
        variables.append(Variable(name, np.dtype(("<f4", "<f8")[kind]), shape, read_attributes(reader)))
    model = None
    embedded = reader.u8()
    require(embedded <= 1, f"a flag of {embedded}")
    if embedded:
        model = reader.text(), reader.take(32), reader.varint()
    reader.done("the body of a definitions record")
    return Definitions(attributes, variables, model)


def read_attributes(reader: Reader) -> Attributes:
    out: Attributes = []
    for _ in range(reader.count(2)):
        name, kind = reader.text(), reader.u8()
        if kind == 0:
            out.append((name, reader.text()))
        elif kind == 1:
            out.append((name, [reader.i64() for _ in range(reader.count(8))]))
        elif kind == 2:
            out.append((name, [reader.f64() for _ in range(reader.count(8))]))
        else:
            raise Unsupported(f"attribute type {kind}")
    return out
