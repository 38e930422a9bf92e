"""The rooms: who may import whom, and nobody in a ring."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = (
    "utils",
    "config",
    "logs",
    "models",
    "transactions",
    "datasets",
    "jobs",
    "learning",
    "serving",
    "web",
    "training",
    "commands",
    "server",
)
HEAVY = ("tensorflow", "keras")

# room -> what it may import of ours; a dotted name allows that module alone
MAY_IMPORT = {
    "utils": set(),
    "config": set(),
    "logs": {"config"},
    "models": {"config"},
    "transactions": {"models"},
    "learning": {"utils"},
    "training": {"learning", "jobs.runs", "jobs.enclosing", "datasets.manifest", "utils", "config"},
    "datasets": {"models", "transactions", "utils", "config"},
    "serving": {
        *("models", "transactions", "utils", "config", "datasets.storage", "datasets.renaming"),
        *(
            "learning.package",
            "learning.litert",
            "learning.embeddings",
            "learning.suspects",
            "learning.comparison",
        ),
        *("learning.explaining", "learning.pooling"),
    },
    "jobs.runs": {"utils"},
    "jobs": {
        *("models", "transactions", "datasets", "serving", "utils", "config"),
        *(
            "learning.backbones",
            "learning.embeddings",
            "learning.package",
            "learning.litert",
            "learning.proof",
        ),
        *("learning.curves", "learning.gains", "learning.lookalikes", "learning.telltales"),
        *("learning.calibration", "learning.evaluation", "learning.inputs", "learning.explaining"),
        *("learning.comparison", "learning.intervals"),
        *("learning.golden", "learning.pixels", "learning.awkward", "learning.rejection"),
        *("learning.uploads.facts", "learning.uploads.throwaway"),
    },
    "web": {
        *("web", "models", "transactions", "datasets", "jobs", "serving", "learning"),
        *("utils", "config"),
    },
    "commands": {"logs", "web", "jobs", "datasets", "serving", "models", "config"},
    "server": {
        *("commands", "web", "jobs", "datasets", "serving", "learning.package"),
        *("models", "transactions", "config"),
    },
}


@cache
def sources() -> list[Path]:
    files = [path for room in OURS for path in (ROOT / room).rglob("*.py")]
    return files + [ROOT / f"{room}.py" for room in OURS if (ROOT / f"{room}.py").exists()]


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Every module that a file imports, with whether that is inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found += [(target, id(node) in inside) for target in _targets(node)]
    return found


@cache
def modules() -> set[str]:
    return {module_name(path) for path in sources()}


def _targets(node: ast.ImportFrom) -> list[str]:
    dotted = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in modules() else node.module for name in dotted]


def is_allowed(importer: str, imported: str) -> bool:
    room = importer if importer in MAY_IMPORT else importer.split(".")[0]
    if importer not in MAY_IMPORT and imported.split(".")[0] == room:
        return not _crosses_pages_and_api(importer, imported)
    allowed = MAY_IMPORT[room]
    return any(imported == name or imported.startswith(f"{name}.") for name in allowed)


def _crosses_pages_and_api(importer: str, imported: str) -> bool:
    sides = [{"web.pages", "web.api"} & {".".join(name.split(".")[:2])} for name in (importer, imported)]
    return all(sides) and sides[0] != sides[1]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path):
    importer = module_name(path)
    wrong = [
        name
        for name, _ in imports_of(path)
        if name.split(".")[0] in OURS and name != importer and not is_allowed(importer, name)
    ]
    assert not wrong


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_tensorflow_is_imported_inside_functions_and_only_by_the_trainer(path):
    heavy = [(name, inside) for name, inside in imports_of(path) if name.split(".")[0] in HEAVY]
    light_inside = [n for n, inside in imports_of(path) if inside and n.split(".")[0] not in HEAVY]
    assert not light_inside
    assert all(inside for _, inside in heavy)
    assert not heavy or module_name(path).split(".")[0] in ("learning", "training")


def test_no_modules_import_each_other_in_a_ring():
    graph = {
        module_name(path): {name for name, _ in imports_of(path) if name in modules()} - {module_name(path)}
        for path in sources()
    }
    assert list(TopologicalSorter(graph).static_order())
