"""A setting is declared once: values outside it are refused in one sentence, equal
values have one key.
"""

import json
import math
import re
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, setting


class TeaConfig(Config):
    strength: float = setting(
        1.0, "Strength", low=0.0, high=2.0, step=0.1, unit="g", help="Leaves in the pot."
    )
    minutes: int = setting(3, "Minutes", low=1, high=10)
    leaf: str = setting("green", "Leaf", choices=("green", "black"))
    cups: int = setting(2, "Cups", choices=(1, 2, 4), more=True)
    milk: bool = setting(False, "Milk")

    @model_validator(mode="after")
    def _green_without_milk(self) -> "TeaConfig":
        if self.milk and self.leaf == "green":
            raise ValueError("TeaConfig.milk must be false with green leaves, got true.")
        return self


class CoffeeConfig(Config):
    renamed: ClassVar = {"force": "strength"}
    strength: float = setting(1.0, "Strength", low=0.0, high=2.0)


def sentence(**values: object) -> str:
    with pytest.raises(SettingError) as refusal:
        TeaConfig(**values)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"strength": 2.1}, r"TeaConfig\.strength must be between 0 and 2, got 2\.1\."),
        ({"strength": -1}, r"TeaConfig\.strength must be between 0 and 2, got -1\."),
        ({"strength": math.nan}, "strength must be between 0 and 2, got nan"),
        ({"strength": math.inf}, "strength must be between 0 and 2, got inf"),
        ({"strength": "inf"}, "strength must be between 0 and 2"),
        ({"strength": "1e999"}, "strength must be between 0 and 2"),
        ({"strength": True}, "strength must be between 0 and 2, got True"),
        ({"strength": None}, "strength must be between 0 and 2, got None"),
        ({"minutes": 0}, "minutes must be a whole number between 1 and 10, got 0"),
        ({"minutes": 11}, "minutes must be a whole number between 1 and 10, got 11"),
        ({"minutes": 2.5}, r"minutes must be a whole number between 1 and 10, got 2\.5"),
        ({"minutes": "--5"}, "minutes must be a whole number between 1 and 10"),
        ({"minutes": "²"}, "minutes must be a whole number between 1 and 10"),
        ({"minutes": "9" * 5000}, "minutes must be a whole number between 1 and 10"),
        ({"minutes": ""}, "minutes must be a whole number between 1 and 10"),
        ({"leaf": "mint"}, "leaf must be one of green, black, got 'mint'"),
        ({"leaf": "Green"}, "leaf must be one of green, black"),
        ({"leaf": None}, "leaf must be one of green, black, got None"),
        ({"leaf": "mint", "milk": True}, "leaf must be one of green, black, got 'mint'"),
        ({"cups": 3}, "cups must be one of 1, 2, 4, got 3"),
        ({"milk": "perhaps"}, "milk must be true or false, got 'perhaps'"),
        ({"milk": True}, "milk must be false with green leaves, got true"),
        ({"strengthh": 1.0}, "TeaConfig has no setting 'strengthh'; did you mean 'strength'"),
        (
            {"zzz": 1.0},
            "TeaConfig has no setting 'zzz'; the settings are strength, minutes, leaf, cups, milk",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(values: dict[str, object], rule: str) -> None:
    text = sentence(**values)
    assert re.search(rule, text)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("strength", "0.5", 0.5),
        ("minutes", " 7 ", 7),
        ("minutes", "+7", 7),
        ("leaf", "black", "black"),
        ("cups", "4", 4),
        ("milk", "false", False),
    ],
)
def test_text_of_a_link_or_a_flag_becomes_the_settings_own_type(name: str, text: str, value: object) -> None:
    assert TeaConfig.checked(name, text) == value
    assert type(TeaConfig.checked(name, text)) is type(value)


def test_equal_values_have_one_key_whatever_they_were_written_as() -> None:
    for same in (-0.0, 0, "0", "-0", "-0.0", "0e3"):
        assert TeaConfig(strength=same).key() == TeaConfig(strength=0.0).key(), same
    assert TeaConfig(strength=1).canonical() == TeaConfig().canonical()


def test_another_value_or_another_config_has_another_key() -> None:
    keys = {
        TeaConfig().key(),
        TeaConfig(strength=1.1).key(),
        TeaConfig(minutes=4).key(),
        CoffeeConfig().key(),
    }
    assert len(keys) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys)


def test_the_key_does_not_change_between_processes_and_versions() -> None:
    assert CoffeeConfig().canonical() == '{"strength":1.0}'
    assert CoffeeConfig().key() == "f7dfcf46b3d54990"


@given(st.floats(0, 2), st.integers(1, 10), st.sampled_from(["green", "black"]), st.sampled_from([1, 2, 4]))
def test_settings_survive_json(strength: float, minutes: int, leaf: str, cups: int) -> None:
    config = TeaConfig(strength=strength, minutes=minutes, leaf=leaf, cups=cups)
    again = TeaConfig(**json.loads(config.canonical()))
    assert again == config
    assert again.key() == config.key()


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_setting_error(text: str) -> None:
    for name in TeaConfig.model_fields:
        try:
            assert TeaConfig(leaf="black").replace(**{name: text}).model_dump()[name] is not None
        except SettingError as refusal:
            assert name in str(refusal) or "milk" in str(refusal)


def test_a_config_cannot_be_changed_only_replaced() -> None:
    config = TeaConfig()
    with pytest.raises(Exception, match="frozen"):
        config.strength = 2.0
    assert config.replace(strength=2.0).strength == 2.0
    assert config.strength == 1.0
    with pytest.raises(SettingError, match="between 0 and 2"):
        config.replace(strength=3.0)


def test_a_control_finds_all_it_needs() -> None:
    strength, minutes, leaf, cups, milk = TeaConfig.settings()
    assert (strength.kind, strength.low, strength.high, strength.step, strength.unit) == (
        "float",
        0.0,
        2.0,
        0.1,
        "g",
    )
    assert (strength.label, strength.help, strength.more) == ("Strength", "Leaves in the pot.", False)
    assert (minutes.kind, minutes.low, minutes.high, minutes.step) == ("int", 1, 10, None)
    assert (leaf.kind, leaf.choices, leaf.rule) == ("choice", ("green", "black"), "one of green, black")
    assert (cups.kind, cups.choices, cups.more) == ("choice", (1, 2, 4), True)
    assert (milk.kind, milk.rule) == ("bool", "true or false")
    assert TeaConfig(minutes=4).changed() == {"minutes": 4}


def test_a_setting_without_bounds_or_choices_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="needs low and high"):
        setting(1.0, "Strength", low=0.0)
    with pytest.raises(TypeError, match="needs choices"):
        setting("green", "Leaf")

    with pytest.raises(TypeError, match="none of its choices"):
        setting("mint", "Leaf", choices=("green", "black"))

    class NakedConfig(Config):
        strength: float = 1.0

    with pytest.raises(TypeError, match="must be declared with setting"):
        NakedConfig.settings()


def test_a_setting_is_known_by_its_earlier_name() -> None:
    assert CoffeeConfig(force=1.5) == CoffeeConfig(strength=1.5) == CoffeeConfig().replace(force=1.5)
    with pytest.raises(SettingError, match=r"CoffeeConfig\.strength must be between 0 and 2, got 3"):
        CoffeeConfig(force=3)
    with pytest.raises(SettingError, match="no setting 'force'"):
        TeaConfig(force=1)
