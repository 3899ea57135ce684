"""Which sources the numbers of an idea rest on: its own files and every module of this package that they import, directly or not."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from mlcv_explore import idea

PACKAGE = Path(__file__).parent
# These carry, keep, judge or show a film and do not make it: verdicts can be decided again from what was kept
NOT_COMPUTE = ("charts", "images", "ui", "command", "__main__", "jobs", "compute", "idea", "runs", "studies", "statistics", "sources")


@cache
def fingerprint(slug: str) -> str:
    """12 hexadecimal digits of the sources that compute this idea: another idea, a chart or a page changes nothing."""
    digest = hashlib.blake2b(digest_size=6)
    for name, path in sorted(reached(slug).items()):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def reached(slug: str) -> dict[str, Path]:
    """The idea's module and all that it imports from this package, late imports too: module name → file."""
    own = f"{__package__}.ideas.{slug}"
    found: dict[str, Path] = {}
    waiting = {own}
    while waiting:
        name = waiting.pop()
        path = _file(name, own, idea.path(slug))
        if path is not None and name not in found and name.split(".")[1] not in NOT_COMPUTE:
            found[name] = path
            waiting |= _imports(path)
    return found


def _file(name: str, own: str, at: Path) -> Path | None:
    """The file of a module of this package; an idea's own modules lie beside it, also when that is outside the package."""
    if name == own:
        return at
    folder = at.parent if name.startswith(f"{own}.") and at.stem == "__init__" else PACKAGE
    parts = name.removeprefix(f"{own}." if folder != PACKAGE else f"{__package__}.").split(".")
    candidates = (folder.joinpath(*parts).with_suffix(".py"), folder.joinpath(*parts, "__init__.py"))
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path) -> set[str]:
    """Every name a file imports from this package, with the packages above it; some are no modules."""
    named = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in named if name.split(".")[0] == __package__]
    return {".".join(words[:count]) for words in parts for count in range(2, len(words) + 1)}
