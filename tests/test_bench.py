"""Benchmarks name what exists: they are run by hand, so a renamed function would go unseen."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent.parent / "bench"


def missing(module: ModuleType, tree: ast.AST) -> Iterator[str]:
    """Attributes read from the package's modules and classes that these do not have."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        owner = getattr(module, node.value.id, None)
        ours = getattr(owner, "__module__", getattr(owner, "__name__", None)) or ""
        if isinstance(owner, ModuleType | type) and ours.startswith(("mlcv_explore", "bench")):
            fields = getattr(owner, "__dataclass_fields__", {})
            if not hasattr(owner, node.attr) and node.attr not in fields:
                yield f"{node.value.id}.{node.attr}, line {node.lineno}"


@pytest.mark.parametrize("path", sorted(BENCH.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_name_that_a_benchmark_reads_exists(path):
    module = importlib.import_module(f"bench.{path.stem}")
    assert not list(missing(module, ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("path", sorted(BENCH.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_benchmark_runs_without_arguments(path):
    """`make bench` gives none."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"
    ]
    for call in calls:
        flag, options = call.args[0].value, {keyword.arg: keyword.value for keyword in call.keywords}
        optional = getattr(options.get("nargs"), "value", "") in ("?", "*")
        assert flag.startswith("-") or optional, f"{path.stem} needs {flag}"
