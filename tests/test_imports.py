"""Imports run downwards: each wing of skkd/ may use itself and what is below it.

Imports inside functions count. Those for type checkers alone (``if TYPE_CHECKING:``)
are never run and do not.
"""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "skkd"
# From the top floor to the ground. Those on one floor do not import each other.
FLOORS = """
    _cli | quickstart | report export | displays _safe_file | _evaluate
    | recipes search | _packed | _estimator | callbacks checkpoints | _fit | memory
    | teachers runtime | images | students tables | _data | _store | losses | augment
    | _formats | _utils | exceptions _version
"""
FLOOR_OF = {n: i for i, row in enumerate(FLOORS.split("|")) for n in row.split()}
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports_at_run_time(node: ast.AST):
    """Yield the modules of skkd that are imported below this node."""
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = node.orelse
    for child in children:
        if isinstance(child, ast.Import):
            yield from (a.name for a in child.names if a.name.startswith("skkd"))
        elif isinstance(child, ast.ImportFrom) and child.module.startswith("skkd"):
            for name in (f"{child.module}.{a.name}" for a in child.names):
                yield name if name in FILES else child.module
        yield from imports_at_run_time(child)


GRAPH = {
    m: set(imports_at_run_time(ast.parse(p.read_text()))) for m, p in FILES.items()
}


@pytest.mark.parametrize("module", [m for m in FILES if m != "skkd"])
def test_imports_run_downwards(module):
    wing = module.split(".")[1]
    others = {t for t in GRAPH[module] if t.split(".")[1:2] != [wing]}
    up = [t for t in others if FLOOR_OF.get(t[5:].split(".")[0], -1) <= FLOOR_OF[wing]]
    assert up == []


def test_no_module_imports_itself_by_way_of_others():
    graphlib.TopologicalSorter(GRAPH).prepare()  # raises CycleError, which names them


def test_the_package_has_at_most_30_entries():
    assert len([p for p in PACKAGE.iterdir() if p.name != "__pycache__"]) <= 30
