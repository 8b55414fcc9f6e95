"""Copies the documents to where Sphinx reads them: ``python docs/site/stage.py FOLDER``.

Pages are the repository's Markdown files, at their own places, so that links between them stay. Pictures that they show
are copied; links to other files of the repository become addresses of its source browser. A link to a file that is not
there is an error. What links of pages to pages are worth, with their anchors, Sphinx says.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent
#: Files and folders that hold pages.
PLACES = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
    "docs", "examples", "mpi-examples", "packaging", "python/README.md", "tests/decoder/README.md",
    "tests/assets/golden/README.md", "training/README.md", "training/experiments.md",
)  # fmt: skip
#: Links and pictures: the bang, the text, the target.
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
#: A block of code.
BLOCK = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
#: The page that a site opens with.
HOME = Path("README.md")


def on_site(page: Path) -> Path:
    """The place of a page: the home page is the index, which servers look for."""
    return Path("index.md") if page == HOME else page


def pages() -> list[Path]:
    """The pages, relative to the repository."""
    found: set[Path] = set()
    for place in (ROOT / name for name in PLACES):
        found |= {place} if place.is_file() else set(place.rglob("*.md"))
    return sorted(page.relative_to(ROOT) for page in found if not page.is_relative_to(SITE))


class Stage:
    """The copy, and what is wrong with it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.pages = set(pages())
        self.problems: list[str] = []
        package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
        self.browser = package["repository"]

    def target(self, page: Path, picture: bool, target: str) -> str:
        """Where a link of a page leads on the site."""
        name, hash_sign, anchor = target.partition("#")
        if "://" in target or not name or target.startswith("mailto:"):
            return target
        path = (ROOT / page.parent / name).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            self.problems.append(f"{page}: {target} leads nowhere")
            return target
        inside = path.relative_to(ROOT)
        if picture:
            (self.out / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.out / inside)
            return target
        if path.is_dir() and inside / "README.md" in self.pages:
            inside /= "README.md"
        if inside in self.pages:
            return f"{os.path.relpath(on_site(inside), page.parent)}{hash_sign}{anchor}"
        kind = "tree" if path.is_dir() else "blob"
        return f"{self.browser}/{kind}/main/{inside}{hash_sign}{anchor}"

    def prose(self, page: Path, text: str) -> str:
        """Text with the targets of its links set; a link's words may be a picture."""

        def replace(match: re.Match[str]) -> str:
            bang, words, target = match.groups()
            return f"{bang}[{self.prose(page, words)}]({self.target(page, bool(bang), target)})"

        return LINK.sub(replace, text)

    def copy(self, page: Path) -> None:
        """Writes a page; blocks of code stay as they are."""
        parts = BLOCK.split((ROOT / page).read_text())
        text = "".join(part if at % 2 else self.prose(page, part) for at, part in enumerate(parts))
        if not text.startswith("#"):
            # A page of tables alone, which a site's contents need a name for.
            text = f"# {page.stem.replace('-', ' ').capitalize()}\n\n{text}"
        if page == HOME:
            text += (SITE / "contents.md").read_text()
        path = self.out / on_site(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> None:
    """Stages everything, or says what leads nowhere."""
    out = Path(sys.argv[1]).resolve()
    shutil.rmtree(out, ignore_errors=True)
    stage = Stage(out)
    for page in sorted(stage.pages):
        stage.copy(page)
    if stage.problems:
        sys.exit("\n".join(stage.problems))
    print(f"{len(stage.pages)} pages")


if __name__ == "__main__":
    main()
