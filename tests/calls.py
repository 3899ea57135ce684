"""Calls that code under test makes, recorded while they go on as before."""

from typing import Any

import pytest


def recorded(patch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """The arguments of every call of `owner.name` from now on, in order; of a method
    that is patched on its class the first is the object.
    """
    calls: list[tuple[Any, ...]] = []
    own = getattr(owner, name)

    def recording(*args: Any, **more: Any) -> Any:
        calls.append(args)
        return own(*args, **more)

    patch.setattr(owner, name, recording)
    return calls
