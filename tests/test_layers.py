"""One arrow: compute ← charts ← pages. Read from the imports, so that a wrong one fails
before it is felt.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mlcv_explore"
DRAWING = ("mlcv_explore.charts", "mlcv_explore.charts.images")
SHOWING = ("mlcv_explore.ui", "pages", "app")
VAGUE = {"utils", "util", "misc", "helpers", "helper", "base", "manager", "common", "core", "lib"}
LIGHT = (
    "config",
    "idea",
    "statistics",
    "experiment.film",
    "experiment.runs",
    "experiment.jobs",
    "experiment.worker",
    "charts",
    "charts.images",
    "data",
    "experiment.studies",
    "ui",
    "command",
)


def sources(*folders: Path) -> list[Path]:
    return sorted(
        path for folder in folders for path in (folder.rglob("*.py") if folder.is_dir() else [folder])
    )


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Every module a file imports, late imports too; those for type checkers alone are
    left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {id(inner) for node in ast.walk(tree) if _for_types(node) for inner in ast.walk(node)}
    modules = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def within(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def layer(path: Path) -> str:
    name = module(path)
    if within(name, *SHOWING):
        return "showing"
    if within(name, *DRAWING):
        return "drawing"
    return "command" if within(name, "mlcv_explore.command", "mlcv_explore.__main__") else "compute"


FORBIDDEN = {
    "compute": ("streamlit", "altair", "vl_convert", *DRAWING, *SHOWING, "mlcv_explore.command"),
    "drawing": ("torch", "torchvision", "streamlit", *SHOWING, "mlcv_explore.command"),
    "command": ("streamlit", *SHOWING),
    "showing": ("torchvision", "mlcv_explore.command"),
}


def wrong_imports(path: Path) -> set[str]:
    forbidden = FORBIDDEN[layer(path)] + (("torch",) if within(module(path), "pages") else ())
    return {name for name in imported(path) if within(name, *forbidden)}


@pytest.mark.parametrize("path", sources(PACKAGE, ROOT / "pages", ROOT / "app.py"), ids=module)
def test_a_module_imports_its_own_layer_and_those_below(path: Path) -> None:
    assert wrong_imports(path) == set()


def test_the_reader_of_imports_sees_late_and_renamed_ones(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import numpy as np\n"
        "if TYPE_CHECKING:\n    import altair\n"
        "def late():\n    from mlcv_explore import charts\n    import streamlit.components as c\n"
    )
    assert imported(path) == {"numpy", "mlcv_explore", "mlcv_explore.charts", "streamlit.components"}


def test_no_module_has_a_name_without_meaning() -> None:
    named = {
        part
        for path in sources(PACKAGE, ROOT / "pages", ROOT / "tests")
        for part in path.relative_to(ROOT).with_suffix("").parts
    }
    assert named & VAGUE == set()


def test_only_the_seeds_module_touches_a_global_generator() -> None:
    """`manual_seed` on torch itself, `np.random.seed`, and draws from NumPy's global
    generator are seeds' affair.
    """
    for path in sources(PACKAGE, ROOT / "pages"):
        if module(path) == "mlcv_explore.seeds":
            continue
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        wrong = [
            call
            for call in calls
            if call in ("torch.manual_seed", "random.seed")
            or call.startswith(("np.random.", "numpy.random."))
        ]
        assert wrong == [], module(path)


def test_what_menu_and_server_import_at_start_does_not_bring_torch() -> None:
    """One interpreter imports them in turn and reports after which of them torch was
    there.
    """
    names = list(LIGHT)
    script = f"""
import importlib, sys
for name in {names}:
    importlib.import_module("mlcv_explore." + name)
    if "torch" in sys.modules:
        sys.exit("mlcv_explore." + name)
from mlcv_explore import idea
idea.cards()
sys.exit("idea.cards()" if "torch" in sys.modules else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_page_and_no_idea_brings_umap_and_its_compiler() -> None:
    """Laying out a map takes it tens of seconds; placing a point on a map that is there
    does without.
    """
    names = sorted(
        {
            name
            for path in sources(ROOT / "pages", ROOT / "app.py")
            for name in imported(path)
            if within(name, "mlcv_explore")
        }
    )
    script = f"""
import importlib, sys
for name in ("mlcv_explore.ui.server", "mlcv_explore.metrics.embedding_map", *{names}):
    parent, _, last = name.rpartition(".")
    if not (parent and hasattr(importlib.import_module(parent), last)):
        importlib.import_module(name)
from mlcv_explore import idea
for card in idea.cards():
    idea.load(card.slug)
sys.exit(", ".join({{"umap", "numba", "pynndescent"}} & set(sys.modules)) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_every_page_is_an_idea_or_one_of_the_frames_own() -> None:
    from mlcv_explore import idea

    own = {"frame", "home", "runs"}
    assert {path.stem for path in (ROOT / "pages").glob("*.py")} - own <= {card.slug for card in idea.cards()}
