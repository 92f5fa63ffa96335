"""Options: the factory's signature must make a schema, and the checked options must fit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from mmlab.errors import PluginError
from mmlab.options import check_options, json_schema, supplied
from mmlab.testing.claims import ContractError, require
from mmlab.testing.randomness import ambient

T = TypeVar("T")
Factory = Callable[..., Any]  # Any: factories differ by kind, and the contracts are protocols


@dataclass(frozen=True)
class BuildContext:
    """What mmlab tells encoders while it builds one model."""

    reads: frozenset[str]
    _made: dict[str, object] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value of `make()`, made once for this key."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


def check_schema(kind: str, factory: Factory, options: Mapping[str, object]) -> dict[str, object]:
    """The options with their defaults, after all that can be said about them without building.

    Every option has a description, and nothing but what mmlab supplies is asked for positionally.
    """
    name = getattr(factory, "__name__", repr(factory))
    try:
        schema = json_schema(factory)
        resolved, faults = check_options(kind, name, factory, options)
    except PluginError as error:
        raise ContractError(str(error)) from error
    require(not faults, f"these options are not valid: {faults}")
    properties = cast(dict[str, dict[str, object]], schema.get("properties", {}))
    bare = [key for key, value in properties.items() if key in resolved and not _describes(value)]
    require(not bare, f"options need a description (Field(description=...)): {bare}")
    return resolved


def _describes(schema: Mapping[str, object]) -> bool:
    return bool(str(schema.get("description", "")).strip())


def build(factory: Factory, options: Mapping[str, object], seed: int, **given: object) -> Any:
    """A component, built as mmlab does: ambient randomness from `seed`, only what it asks for."""
    with ambient(seed):
        return factory(*(given[name] for name in supplied(factory)), **options)
