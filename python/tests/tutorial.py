"""Runs a page of docs/tutorials: ``python tutorial.py PAGE``, in an empty folder.

Blocks of code run in the order of the page: ``python`` ones in one namespace, ``sh`` ones by bash, in the same folder.
Words after a block's language say more:

- ``alone``: the block runs in a process of its own.
- ``fails``: so does this one, and it must end with an error.
- ``not-run``: the block is for reading.
- a path (``cpp examples/cpp/round_trip.cpp``): the block stands in that file, line for line but for indentation.

A ``text`` block after a block that ran is what it printed, on either stream; ``…`` stands for anything, and numbers may
differ by a tenth, so that a better codec does not make a page wrong.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
#: What numbers may differ by, relative to the page's.
TOLERANCE = 0.1
#: Languages of blocks that run.
RUN = ("python", "sh")
#: Words of blocks that run.
HOW = {"alone", "fails"}


@dataclass
class Block:
    """A block of code: its language, the words behind it, its text, and the line that it begins at."""

    language: str
    words: list[str]
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    text = page.read_text()
    return [
        Block(
            match[2],
            match[3].split(),
            re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE),
            text.count("\n", 0, match.start()) + 1,
        )
        for match in BLOCK.finditer(text)
    ]


def is_part_of(text: str, whole: str) -> bool:
    """Whether lines stand in a text one after another, whatever their indentation."""
    lines = [line.strip() for line in text.strip().splitlines()]
    there = [line.strip() for line in whole.splitlines()]
    return any(there[at : at + len(lines)] == lines for at in range(len(there) - len(lines) + 1))


def agrees(printed: str, expected: str) -> bool:
    """Whether what was printed is what the page says."""
    numbers = [float(number) for number in NUMBER.findall(expected)]
    words = [re.escape(part).replace("…", ".*?") for part in NUMBER.split(expected.strip())]
    match = re.fullmatch(f"({NUMBER.pattern})".join(words), printed.strip(), re.DOTALL)
    return match is not None and all(
        abs(float(there) - number) <= TOLERANCE * abs(number)
        for there, number in zip(match.groups(), numbers, strict=True)
    )


class Page:
    """A page as it runs: its namespace, and what the last block printed."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed: str | None = None

    def problem(self, block: Block, what: str) -> None:
        sys.exit(f"{self.page}:{block.line}: {what}")

    def process(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Runs a block by itself."""
        command = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
        return subprocess.run(
            [*command, block.text], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
        )

    def execute(self, block: Block) -> str:
        """What a block prints."""
        if block.words or block.language == "sh":
            done = self.process(block)
            if (done.returncode != 0) != ("fails" in block.words):
                self.problem(block, f"exit status {done.returncode}\n{done.stdout}")
            return done.stdout
        out = io.StringIO()
        code = compile("\n" * block.line + block.text, str(self.page), "exec")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            exec(code, self.namespace)
        return out.getvalue()

    def run(self) -> int:
        """Runs the page, and returns how many of its blocks were run or compared."""
        count = 0
        for block in blocks(self.page):
            if "not-run" in block.words:
                self.printed = None
                continue
            if block.language in RUN and HOW.issuperset(block.words):
                self.printed = self.execute(block)
            elif block.language == "text" and self.printed is not None:
                if not agrees(self.printed, block.text):
                    self.problem(block, f"expected\n{block.text}\nprinted\n{self.printed}")
            elif block.words:
                if not is_part_of(block.text, (ROOT / block.words[0]).read_text()):
                    self.problem(block, f"this is not what {block.words[0]} says")
            else:
                continue
            count += 1
        return count


if __name__ == "__main__":
    name = Path(sys.argv[1]).resolve()
    os.environ.setdefault("MPLBACKEND", "Agg")
    print(f"{Page(name).run()} blocks")
