"""Sphinx's settings for the documentation site; tools/site builds it."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

project = "fieldpress"
author = "The fieldpress authors"
release = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
version = release

root_doc = "index"
extensions = ["myst_parser"]
# Anchors as GitHub makes them, so that a link means the same there and on the site.
myst_heading_anchors = 6
myst_heading_slug_func = "github"
# Blocks of code that leave things out with "...".
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"fieldpress {release}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["wide.css"]
