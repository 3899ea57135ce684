"""Declare a setting once; slider, flag, range check, link, cache key and tests are read
from it.
"""

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

Value = bool | int | float | str


def choice_label(choice: Value) -> str:
    """What a choice is called on a page: its name without underscores, a norm by its sign."""
    return {"l2": "L2", "linf": "L∞"}.get(str(choice), str(choice).replace("_", " "))


class SettingError(ValueError):
    """A setting that cannot be used. The text is one sentence that names the setting,
    the rule and the value.
    """


@dataclass(frozen=True)
class Setting:
    """What a control needs to know about one field of a config."""

    name: str
    kind: Literal["bool", "int", "float", "choice"]
    default: Value
    label: str
    low: float | None
    high: float | None
    step: float | None
    choices: tuple[Value, ...]
    unit: str
    help: str
    more: bool  # folded away under "more settings"
    found: tuple[str, ...] = ()  # the choices that were found on this machine; "@…" may follow one

    @property
    def rule(self) -> str:
        """The rule in words: "between 0 and 2", "one of gaussian, laplace"."""
        if self.kind == "choice":
            sized = f", also with a side as in {self.found[0]}@64" if self.found else ""
            return f"one of {', '.join(map(str, self.choices))}{sized}"
        if self.kind == "bool":
            return "true or false"
        noun = "a whole number " if self.kind == "int" else ""
        return f"{noun}between {self.low:.12g} and {self.high:.12g}"


def setting(
    default: Value,
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: tuple[Value, ...] = (),
    found: Callable[[], tuple[str, ...]] | None = None,
    unit: str = "",
    help: str = "",
    more: bool = False,
) -> Any:
    """One field of a config: its default, and everything a control, a flag or a check
    has to know about it.

    Numbers need `low` and `high` (both allowed values); text needs `choices`. `found()`
    are further choices, of this machine, looked up whenever the setting is read; what
    follows an "@" behind one is for the config's own validator to check. Raises
    TypeError when bounds or choices are missing.
    """
    if isinstance(default, str) != bool(choices) and not isinstance(default, bool) and not choices:
        raise TypeError(f"the text setting {label!r} needs choices")
    if not choices and not isinstance(default, bool) and (low is None or high is None):
        raise TypeError(f"the number setting {label!r} needs low and high")
    if choices and default not in choices:
        raise TypeError(f"the setting {label!r} has a default that is none of its choices")
    bounds = {} if choices or isinstance(default, bool) else {"ge": low, "le": high}
    extra = {"label": label, "step": step, "choices": list(choices), "unit": unit, "more": more}
    extra |= {"found": found} if found else {}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Config(BaseModel):
    """The settings of one idea: frozen, checked when built, every value finite and
    within its bounds.

    Subclasses have distinct names (`LabelNoiseConfig`): Streamlit's cache key ignores
    the module. Raises SettingError, never pydantic's own error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    renamed: ClassVar[Mapping[str, str]] = {}  # settings of earlier versions → their names today

    def __init__(self, **values: Value) -> None:
        values = {self.renamed.get(name, name): value for name, value in values.items()}
        try:
            super().__init__(**{name: self._coerced(name, value) for name, value in values.items()})
        except ValidationError as error:
            raise SettingError(self._sentence(error)) from None

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """The settings in the order they were declared."""
        return tuple(_setting_of(name, field) for name, field in cls.model_fields.items())

    @classmethod
    def setting(cls, name: str) -> Setting:
        """The setting of that name; raises SettingError with the nearest name when
        there is none.
        """
        if name not in cls.model_fields:
            raise SettingError(cls._unknown(name))
        return _setting_of(name, cls.model_fields[name])

    @classmethod
    def checked(cls, name: str, value: Value) -> Value:
        """One value, coerced and checked by itself; raises SettingError. What a link or
        a flag hands over is text.
        """
        cls.setting(name)
        return getattr(cls(**{name: value}), name)

    def replace(self, **changes: Value) -> "Config":
        """The same settings but for `changes`, checked again."""
        return type(self)(**{**self.model_dump(), **changes})

    def canonical(self) -> str:
        """Canonical JSON of every value: sorted names, no spaces. Equal settings give
        equal text.
        """
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def key(self) -> str:
        """16 hexadecimal digits that identify these settings."""
        return hashlib.blake2b(f"{type(self).__name__}{self.canonical()}".encode(), digest_size=8).hexdigest()

    def changed(self) -> dict[str, Value]:
        """The settings that differ from their defaults."""
        return {
            declared.name: getattr(self, declared.name)
            for declared in self.settings()
            if getattr(self, declared.name) != declared.default
        }

    @classmethod
    def _coerced(cls, name: str, value: Value) -> Value:
        """Text as the field's own type, -0.0 as 0.0, so that equal values have one
        canonical form.
        """
        if name not in cls.model_fields:
            return value
        declared = _setting_of(name, cls.model_fields[name])
        if declared.kind == "choice":  # checked before any rule between settings
            spelt = {str(choice): choice for choice in declared.choices}
            spelt |= {choice_label(choice): choice for choice in declared.choices}
            value = spelt.get(value, value) if isinstance(value, str) else value
            if isinstance(value, str) and declared.found:
                base, mark, side = value.partition("@")
                if mark and spelt.get(base) in declared.found:
                    return f"{spelt[base]}@{side}"
            if value not in declared.choices:
                raise SettingError(f"{cls.__name__}.{name} must be {declared.rule}, got {value!r:.80}.")
            return value
        if declared.kind in ("int", "float") and isinstance(value, bool):
            raise SettingError(f"{cls.__name__}.{name} must be {declared.rule}, got {value}.")
        if declared.kind in ("int", "float") and isinstance(value, str):
            with suppress(ValueError):  # what is no number is refused with the rule, below
                value = int(value) if declared.kind == "int" else float(value)
        return 0.0 if declared.kind == "float" and value == 0 else value

    @classmethod
    def _unknown(cls, name: str) -> str:
        near = difflib.get_close_matches(name, cls.model_fields, n=1, cutoff=0.5)
        hint = (
            f"; did you mean {near[0]!r}?" if near else f"; the settings are {', '.join(cls.model_fields)}."
        )
        return f"{cls.__name__} has no setting {name!r}{hint}"

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return cls._unknown(name)
        if not name:  # a rule between settings, raised by a model validator, carries its own sentence
            return str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
        return f"{cls.__name__}.{name} must be {cls.setting(name).rule}, got {first['input']!r:.80}."


def _setting_of(name: str, field: FieldInfo) -> Setting:
    extra: Mapping[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    if "label" not in extra or field.default is PydanticUndefined:
        raise TypeError(f"the setting {name!r} must be declared with setting(default, label, …)")
    found = tuple(extra["found"]()) if "found" in extra else ()
    choices = (*extra["choices"], *found)
    kind = "choice" if choices else field.annotation.__name__
    bounds = {type(limit).__name__: limit for limit in field.metadata}
    low, high = (getattr(bounds.get(side), side.lower(), None) for side in ("Ge", "Le"))
    return Setting(
        name,
        kind,
        field.default,
        extra["label"],
        low,
        high,
        extra["step"],
        choices,
        extra["unit"],
        field.description or "",
        extra["more"],
        found,
    )
