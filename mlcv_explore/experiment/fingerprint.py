"""Fingerprint of the code that computes an idea's numbers: its syntax trees, without
the words.

Starting from the idea's settings, `run` and `metrics`, every definition of this package
that they reach is hashed in the order in which it is reached. Docstrings, comments,
annotations, messages of errors, labels of settings and the names of modules, functions,
classes and constants do not count; nor do claims, prior work, charts, pages and the
transport of data. The content of bundled data sets does.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from mlcv_explore import idea
from mlcv_explore.data.catalogue import CATALOGUE

PACKAGE = Path(__file__).parent.parent
ROOT = "mlcv_explore"
ROOTS = ("config", "run", "metrics")  # of the record `Idea`: what makes a number
# References to these stay references: they carry, check, decide or show numbers
OUTSIDE = (
    "charts",
    "command",
    "config",
    "data.cache",
    "data.catalogue",
    "data.downloads",
    "data.folder",
    "data.image_headers",
    "data.loading",
    "data.locations",
    "data.own_folders",
    "data.oxford_pets",
    "data.published_formats",
    "data.uploads",
    "experiment.jobs",
    "experiment.runs",
    "experiment.studies",
    "experiment.worker",
    "idea",
    "ui",
)
WORDLESS = ("lineno", "col_offset", "ctx", "kind", "type_comment", "type_params", "annotation", "returns")


@cache
def fingerprint(slug: str) -> str:
    """12 hexadecimal digits that change with the numbers' code, not with its wording."""
    digest = hashlib.blake2b(digest_size=6)
    for text in trees(slug):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def trees(slug: str) -> list[str]:
    """The canonical text of every definition an idea's numbers rest on, in the order
    reached.
    """
    reader = _Reader(f"{ROOT}.ideas.{slug}", idea.path(slug))
    return [
        *reader.read(),
        *(
            f"{name} {entry.content}"
            for name, entry in CATALOGUE.items()
            if entry.content and name in reader.texts
        ),
    ]


@dataclass(frozen=True)
class _Module:
    """A parsed module: what its top level defines, imports and does."""

    name: str
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str]]  # local name → (module, name in it, or "")
    effects: list[ast.stmt]  # statements that bind nothing, such as calls


class _Reader:
    """Walks from an idea's record over every definition it reaches."""

    def __init__(self, own: str, path: Path) -> None:
        self.own, self.path = own, path
        self.modules: dict[str, _Module | None] = {}
        self.numbers: dict[int, int] = {}  # id of a statement → its place in the order reached
        self.waiting: list[tuple[_Module, ast.stmt]] = []
        self.texts: set[str] = set()  # every text constant on the way

    def read(self) -> list[str]:
        """The canonical texts; the record's roots come first."""
        module = self.module(self.own)
        texts = [" ".join(self.text(module, value, {}) for value in _roots(module))]
        while self.waiting:
            owner, statement = self.waiting.pop(0)
            local = dict(_imports(statement, owner.name))
            texts.append(self.text(owner, statement, local))
        return texts

    def module(self, name: str) -> _Module | None:
        """The module of that name in this package, None where there is none or it is
        outside.
        """
        if name not in self.modules:
            short = name.removeprefix(f"{ROOT}.")
            outside = any(short == prefix or short.startswith(f"{prefix}.") for prefix in OUTSIDE)
            path = None if outside else self.file(name)
            self.modules[name] = module = None if path is None else _parsed(name, path)
            for effect in module.effects if module else ():
                self.visit(module, effect)
        return self.modules[name]

    def file(self, name: str) -> Path | None:
        """A module's file; an idea's own modules lie beside it, also outside the
        package.
        """
        if name == self.own:
            return self.path
        beside = name.startswith(f"{self.own}.") and self.path.stem == "__init__"
        folder, prefix = (self.path.parent, self.own) if beside else (PACKAGE, ROOT)
        parts = name.removeprefix(f"{prefix}.").split(".")
        files = (folder.joinpath(*parts).with_suffix(".py"), folder.joinpath(*parts, "__init__.py"))
        return next((path for path in files if path.is_file()), None)

    def visit(self, module: _Module, statement: ast.stmt) -> str:
        """The reference to a statement, which is read later when it is met for the
        first time.
        """
        if id(statement) not in self.numbers:
            self.numbers[id(statement)] = len(self.numbers)
            self.waiting.append((module, statement))
        return f"#{self.numbers[id(statement)]}"

    def reference(self, module: _Module, name: str, local: dict[str, tuple[str, str]]) -> str:
        """A name as what it stands for: a definition reached, an outside module, or
        itself.
        """
        if name in local:
            return self.target(*local[name])
        if name in module.definitions:
            statements = module.definitions[name]
            place = "" if len(_bound(statements[0])) == 1 else f".{_bound(statements[0]).index(name)}"
            return "+".join(self.visit(module, definition) for definition in statements) + place
        return self.target(*module.imports[name]) if name in module.imports else name

    def target(self, source: str, name: str) -> str:
        """What an imported name stands for; a whole module of this package is all that
        it defines.
        """
        if source.split(".")[0] != ROOT:
            return ".".join(filter(None, (source, name)))
        module = self.module(source)
        if name and module is not None and (name in module.definitions or name in module.imports):
            return self.reference(module, name, {})
        inner = self.module(f"{source}.{name}") if name else module
        if inner is None:
            return "outside"
        return " ".join(self.reference(inner, defined, {}) for defined in inner.definitions)

    def attribute(
        self, module: _Module, node: ast.Attribute, local: dict[str, tuple[str, str]]
    ) -> str | None:
        """`alias.name`, where the alias is a module of this package; None for any other
        attribute.
        """
        if not isinstance(node.value, ast.Name):
            return None
        source, name = (local | module.imports).get(node.value.id, ("", ""))
        if source.split(".")[0] != ROOT or node.value.id in module.definitions:
            return None
        whole = f"{source}.{name}" if name else source
        owner = self.module(source) if name else None
        if (owner and (name in owner.definitions or name in owner.imports)) or not self.module(whole):
            return None  # an attribute of an imported class or function, or of what is outside
        return self.target(whole, node.attr)

    def text(self, module: _Module, node: ast.AST, local: dict[str, tuple[str, str]]) -> str:
        """A node as canonical text."""
        if isinstance(node, ast.Name):
            return self.reference(module, node.id, local)
        if isinstance(node, ast.Attribute) and (resolved := self.attribute(module, node, local)) is not None:
            return resolved
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                self.texts.add(node.value)
            return repr(node.value)
        parts = [type(node).__name__]
        for name in ("annotation", "returns"):  # not hashed, but the classes they name are reached
            for hint in ast.walk(getattr(node, name, None) or ast.Pass()):
                if isinstance(hint, (ast.Name, ast.Attribute)):
                    self.text(module, hint, local)
        for name, value in ast.iter_fields(_without_words(node)):
            if name not in WORDLESS and value not in (None, []):
                parts += [name, *self.values(module, node, name, value, local)]
        return f"({' '.join(parts)})"

    def values(
        self, module: _Module, node: ast.AST, name: str, value: object, local: dict[str, tuple[str, str]]
    ) -> Iterator[str]:
        """The parts of one field of a node."""
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                if not _is_wording(part):
                    yield self.text(module, part, local)
            elif name == "name" and node in module.definitions.get(part, ()):
                yield self.reference(module, part, local)  # of a function or class at the top level
            else:
                yield repr(part)


def _parsed(name: str, path: Path) -> _Module:
    tree = idea.parsed(path)
    definitions: dict[str, list[ast.stmt]] = {}
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    imports: dict[str, tuple[str, str]] = {}
    effects = []
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            imports |= dict(_imports(statement, package))
        if _is_wording(statement):
            continue
        names = _bound(statement)
        for bound in names:
            definitions.setdefault(bound, []).append(statement)
        if not names:
            effects.append(statement)
    return _Module(name, definitions, imports, effects)


def _roots(module: _Module) -> list[ast.expr]:
    """The arguments of the idea's record that make numbers."""
    (statement,) = module.definitions["idea"]
    order = [entry.name for entry in fields(idea.Idea)]
    given = dict(zip(order, statement.value.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in statement.value.keywords}
    return [given[name] for name in ROOTS]


def _imports(node: ast.AST, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every name that a statement, or one inside it, imports."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            for alias in part.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or whole, (whole, "")
        elif isinstance(part, ast.ImportFrom):
            source = part.module or ""
            if part.level:
                source = ".".join(filter(None, (*package.split(".")[: 1 - part.level or None], source)))
            for alias in part.names:
                yield alias.asname or alias.name, (source, alias.name)


def _bound(statement: ast.stmt) -> list[str]:
    """The names a statement of the top level binds, in order."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    stored = (
        name for name in ast.walk(statement) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    )
    inner = {
        name
        for part in ast.walk(statement)
        if isinstance(part, ast.comprehension)
        for name in ast.walk(part.target)
    }
    return list(dict.fromkeys(name.id for name in stored if name not in inner))


def _is_wording(node: ast.AST) -> bool:
    """Docstrings, imports, exports, and blocks for type checkers and for scripts."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        names = {name.id for name in ast.walk(node.test) if isinstance(name, ast.Name)}
        return bool(names & {"TYPE_CHECKING", "__name__"})
    if isinstance(node, ast.Assign):  # what a package exports
        return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _without_words(node: ast.AST) -> ast.AST:
    """The node without the words of an error, and of a setting only its default."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ast.Raise(exc=node.exc.func)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting":
        default = node.args[:1] or [keyword.value for keyword in node.keywords if keyword.arg == "default"]
        return ast.Call(func=node.func, args=default, keywords=[])
    return node
