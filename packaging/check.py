"""Checks the recipes, CITATION.cff and the versions in all of them: ``python packaging/check.py``.

- conda: the recipe is parsed and rendered, as rattler-build does before it builds, for the compilers of conda-forge.
- Spack: Spack is not on PyPI. The recipe must be Python, its options those of CMakeLists.txt, and every variant that it
  reads one that it declares.
- CITATION.cff is valid by its schema (cffconvert).
- Versions and requirements of Rust, CMake and Python are those of Cargo.toml, CMakeLists.txt and pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import rattler_build
from cffconvert.cli.create_citation import create_citation

ROOT = Path(__file__).parents[1]
SPACK = ROOT / "packaging/spack/packages/fieldpress/package.py"
CONDA = ROOT / "packaging/conda/recipe.yaml"
VARIANTS = {
    "c_compiler": ["gcc"], "cxx_compiler": ["gxx"], "rust_compiler": ["rust"],
    "c_stdlib": ["sysroot"], "c_stdlib_version": ["2.17"], "python": ["3.10.* *_cpython"],
}  # fmt: skip


def check_versions(workspace: dict[str, Any], project: dict[str, Any], cmake: str) -> list[str]:
    """What the recipes and CITATION.cff say otherwise than the files that decide."""
    wanted_cmake = re.search(r"cmake_minimum_required\(VERSION ([\d.]+)\)", cmake)[1]  # type: ignore[index]
    version, python = workspace["version"], project["requires-python"]
    spack, conda = SPACK.read_text(), CONDA.read_text()
    citation = (ROOT / "CITATION.cff").read_text()
    maturin = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["build-system"]["requires"][0]
    url = f"v{version}/fieldpress-{version}.tar.gz"
    rust, licence = f'"rust@{workspace["rust-version"]}:"', workspace["license"]
    needed = {
        "package.py": (spack, [f'version("{version}"', url, rust, f'"cmake@{wanted_cmake}:"', licence]),
        "recipe.yaml": (
            conda,
            [
                f'version: "{version}"',
                f"cmake >={wanted_cmake}",
                f"python {python}",
                maturin.replace(">", " >", 1),
                f"license: {licence}",
            ],
        ),
        "CITATION.cff": (citation, [f"version: {version}", workspace["repository"]]),
    }
    return [
        f"{name}: {what!r} is missing" for name, (text, texts) in needed.items() for what in texts if what not in text
    ]


def check_spack(cmake: str) -> list[str]:
    """What is wrong with Spack's recipe."""
    calls = [node for node in ast.walk(ast.parse(SPACK.read_text())) if isinstance(node, ast.Call)]

    def texts(name: str, at: int) -> set[str]:
        named = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) == name]
        return {call.args[at].value for call in named if isinstance(call.args[at], ast.Constant)}  # type: ignore[attr-defined,misc]

    options = texts("define_from_variant", 0) | texts("define", 0)
    known = set(re.findall(r"(?:option|set)\((FIELDPRESS_\w+)", cmake)) | {"BUILD_TESTING"}
    declared = texts("variant", 0)
    conditions = {kw.value.value for call in calls for kw in call.keywords if kw.arg == "when"}  # type: ignore[attr-defined]
    read = texts("define_from_variant", 1) | {text.strip("+~") for text in conditions | texts("satisfies", 0)}
    return [
        *(f"package.py: {name} is no option of CMakeLists.txt" for name in sorted(options - known)),
        *(f"package.py: variant {name} is not declared" for name in sorted(read - declared)),
        *(f"package.py: variant {name} is not used" for name in sorted(declared - read)),
    ]


def check_conda(cmake: str) -> list[str]:
    """What is wrong with conda's recipe, beyond what cannot be rendered."""
    recipe = rattler_build.Stage0Recipe.from_file(CONDA)
    rendered = recipe.render(rattler_build.VariantConfig(VARIANTS))
    names = [variant.recipe.package.name for variant in rendered]
    options = set(re.findall(r"-D(FIELDPRESS_\w+)=", CONDA.read_text()))
    known = set(re.findall(r"(?:option|set)\((FIELDPRESS_\w+)", cmake))
    wrong = [] if names == ["libfieldpress", "fieldpress"] else [f"recipe.yaml: makes {names}"]
    return wrong + [f"recipe.yaml: {name} is no option of CMakeLists.txt" for name in sorted(options - known)]


def main() -> None:
    """Checks everything, and says what is wrong."""
    cmake = (ROOT / "CMakeLists.txt").read_text()
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    project = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]
    create_citation(str(ROOT / "CITATION.cff"), None).validate()
    wrong = check_versions(workspace, project, cmake) + check_spack(cmake) + check_conda(cmake)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"recipes and CITATION.cff are of version {workspace['version']}")


if __name__ == "__main__":
    main()
