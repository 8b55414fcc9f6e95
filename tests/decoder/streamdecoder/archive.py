"""An archive: variables of many steps, in chunks that are streams (docs/archive.md, format)."""

from pathlib import Path

import numpy as np

from . import records
from .data import Corrupt, crc, require
from .records import Chunk, Commit, Definitions, Entry, Record
from .stream import decode


class Archive:
    """An archive that was read whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()
        self.identity, self.slots = records.read_front(self.data)
        newest = self._newest()
        self.entries = self._entries(newest)
        self.records = {entry.offset: self._record(entry) for entry in self.entries}
        newest_entry = self.entries[-1]
        self.definitions = self._definitions(
            records.read_definitions_offset(self.records[newest_entry.offset], newest_entry)
        )
        axes = [len(variable.shape) for variable in self.definitions.variables]
        self.commits = [records.read_commit(self.records[entry.offset], entry, axes) for entry in self.entries]
        self.parts: dict[str, bytes] = {}
        self.windows: dict[tuple[int, int, tuple[int, ...]], np.ndarray] = {}

    @property
    def steps(self) -> int:
        return self.entries[-1].first + self.entries[-1].count

    def commit_of(self, step: int) -> tuple[Entry, Commit]:
        """The commit that holds a step."""
        for entry, commit in zip(self.entries, self.commits, strict=True):
            if entry.first <= step < entry.first + entry.count:
                return entry, commit
        raise IndexError(f"step {step} of {self.steps}")

    def time(self, step: int) -> float:
        entry, commit = self.commit_of(step)
        return commit.times[step - entry.first]

    def chunks(self, variable: int, step: int) -> list[Chunk]:
        index = self.commit_of(step)[1].variables.get(variable)
        chunks = index.chunks if index else []
        return [chunk for chunk in chunks if chunk.first <= step < chunk.first + chunk.steps]

    def read(self, variable: int, step: int, missing: float) -> np.ndarray:
        """A step of a variable; `missing` where no box was written."""
        defined = self.definitions.variables[variable]
        out = np.full(defined.shape, missing, defined.dtype)
        written = np.zeros(defined.shape, bool)
        for chunk in self.chunks(variable, step):
            box = tuple(slice(s, s + n) for s, n in zip(chunk.start, chunk.count, strict=True))
            inside = all(s + n <= size for s, n, size in zip(chunk.start, chunk.count, defined.shape, strict=True))
            require(inside, "a chunk is not inside its variable")
            require(not written[box].any(), "chunks overlap")
            written[box] = True
            out[box] = self.window(variable, chunk)[step - chunk.first]
        return out

    def window(self, variable: int, chunk: Chunk) -> np.ndarray:
        """All steps of a chunk, after those chunks that it follows."""
        place = (variable, chunk.first, chunk.start)
        if place not in self.windows:
            self.windows[place] = self._decoded(variable, chunk)
        return self.windows[place]

    def _decoded(self, variable: int, chunk: Chunk) -> np.ndarray:
        before = None
        if chunk.depth:
            before = self.window(variable, self._before(variable, chunk))[-1:]
        decoded = decode(self.stream(chunk), before)
        shape = (chunk.steps, *chunk.count) if chunk.steps > 1 else chunk.count
        dtype = self.definitions.variables[variable].dtype
        require((decoded.header.shape, decoded.header.dtype) == (shape, dtype), "a stream holds another box")
        return decoded.values.reshape((chunk.steps, *chunk.count))

    def stream(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk's stream."""
        data = self.data
        if chunk.file:
            name = self.commit_of(chunk.first)[1].files[chunk.file - 1]
            if name not in self.parts:
                self.parts[name] = (self.path.parent / f"{self.path.name}.parts" / name).read_bytes()
            data = self.parts[name]
        require(chunk.offset + chunk.length <= len(data), "a chunk ends behind its file")
        stream = data[chunk.offset : chunk.offset + chunk.length]
        require(crc(stream) == chunk.crc, "the checksum of a chunk is another")
        return stream

    def _before(self, variable: int, chunk: Chunk) -> Chunk:
        require(chunk.first > 0, "a chunk follows another, and is the first")
        for other in self.chunks(variable, chunk.first - 1):
            same = (other.start, other.count) == (chunk.start, chunk.count)
            if same and other.first + other.steps == chunk.first and other.depth + 1 == chunk.depth:
                return other
        raise Corrupt("the chunk that a chunk follows is not there")

    def _newest(self) -> Record:
        """The record of the valid slot with the highest sequence number whose record is sound."""
        slots = [records.read_slot(self.data, at, self.identity) for at in self.slots]
        for sequence, offset in sorted(filter(None, slots), reverse=True):
            try:
                record = records.read_record(self.data, offset, self.identity, records.STEPS)
            except Corrupt:
                continue
            if record.sequence == sequence:
                return record
        raise Corrupt("no commit is sound")

    def _entries(self, record: Record) -> list[Entry]:
        """All commits, oldest first."""
        own, before, others = records.read_head(record)
        out = [*others, own]
        while before:
            require(before.sequence < out[0].sequence, "a block of commits is not before the next")
            record = records.read_record(self.data, before.offset, self.identity, records.STEPS)
            own, earlier, others = records.read_head(record)
            require(own == before, "the last commit of a block is another")
            out = [*others, own, *out]
            before = earlier
        steps = 0
        for entry, following in zip(out, [*out[1:], None], strict=True):
            require(entry.first == steps and entry.count > 0, "the steps of commits do not follow one another")
            require(following is None or entry.sequence < following.sequence, "commits do not rise in sequence")
            steps += entry.count
        return out

    def _record(self, entry: Entry) -> Record:
        record = records.read_record(self.data, entry.offset, self.identity, records.STEPS)
        require(records.read_head(record)[0] == entry, "a commit's record is another")
        return record

    def _definitions(self, offset: int) -> Definitions:
        record = records.read_record(self.data, offset, self.identity, records.DEFINITIONS)
        return records.read_definitions(record)
