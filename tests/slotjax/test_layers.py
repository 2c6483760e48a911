"""The folders are the layers: what stands where, which way imports point, and that they point at faces."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# From the bottom up; those in one row know nothing of each other, but `linen` and `analysis` of selectors and tickets.
LAYERS = [
    ("_numbers", "_places"),
    ("distributions",),
    ("options",),
    ("selection",),
    ("selectors",),
    ("_lifted",),
    ("linen", "nnx", "_summary", "tickets", "analysis", "models", "data"),
    ("training",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted((ROOT / "slotjax").rglob("*.py"))
PROGRAMS = sorted((ROOT / "experiments").rglob("*.py"))


def imported(path):
    """The modules that a file imports, by their full names; `from package import module` counts as the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "slotjax":
            yield from (f"slotjax.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def layer_of(path):
    return path.relative_to(ROOT / "slotjax").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [path for path in FILES if layer_of(path) != "__init__"], ids=str)
def test_imports_point_down_and_at_faces(path):
    own = layer_of(path)
    for name in imported(path):
        package, _, rest = name.partition(".")
        assert package != "experiments"
        if package == "slotjax" and rest.split(".")[0] != own:
            assert LEVEL[rest] < LEVEL[own] or (own, rest) == ("training", "data"), f"{own} imports {name}"


@pytest.mark.parametrize("path", PROGRAMS, ids=str)
def test_experiments_import_faces_only(path):
    behind = [name for name in imported(path) if name.startswith("slotjax.") and name.count(".") > 1]
    assert behind == []


def test_the_listing_is_the_design():
    there = {path.name.removesuffix(".py") for path in (ROOT / "slotjax").iterdir() if path.name != "__pycache__"}
    assert there == {*LEVEL, "__init__", "README.md", "CHANGELOG.md", "py.typed"}


def test_no_file_is_long():
    files = [*FILES, *PROGRAMS, *(ROOT / "tests").rglob("*.py")]
    long = {str(path.relative_to(ROOT)): size for path in files if (size := len(path.read_text().splitlines())) > 300}
    assert long == {}
