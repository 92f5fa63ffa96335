"""The tables of a cell's spec as content of an identity, components with all their options.

Every key counts unless its table declares that it is `WithoutEffect`: nothing is listed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic.fields import FieldInfo

from mmlab.plan.component import Resolved
from mmlab.plan.content import Content, Later
from mmlab.plan.describe import added, describe, neutral_value, neutrals
from mmlab.spec import Component, Table, WithoutEffect
from mmlab.spec.faults import Where


@dataclass(frozen=True)
class SpecContent:
    """Describes tables, given the components of a plan by the places of their tables."""

    components: Mapping[Where, Resolved]

    def table(self, table: Table, where: Where) -> dict[str, Content]:
        """The content of the table at a place, those inside it included."""
        described = {
            key: self._key(table, key, (*where, key))
            for key, field in type(table).model_fields.items()
            if not _is_without_effect(field)
        }
        if not isinstance(table, Component):
            return described
        return {**described, **self.components[where].content()}

    def _key(self, table: Table, key: str, where: Where) -> Content:
        content = self._value(getattr(table, key), where)
        if added(type(table).model_fields[key]) is None:
            return content
        return Later(content, self._neutral(type(table), key, where))

    def _value(self, value: object, where: Where) -> Content:
        if isinstance(value, Table):
            return self.table(value, where)
        if isinstance(value, Mapping):
            return {str(key): self._value(inner, (*where, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(inner, (*where, i)) for i, inner in enumerate(value)]
        return describe(value)

    def _neutral(self, model: type[Table], key: str, where: Where) -> object:
        """A key's neutral content; that of a component as the plan's of the same name says it."""
        neutral, value = neutrals(model)[key], neutral_value(model, key)
        found = self.components.get(where)
        if not isinstance(value, Component) or found is None or found.entry.name != value.use:
            return neutral
        assert isinstance(neutral, dict), "a table's content is an object"
        own = {name: neutral[name] for name in neutral if name in type(value).model_fields}
        return {**own, **found.neutral_content(value.options)}


def _is_without_effect(field: FieldInfo) -> bool:
    return any(isinstance(mark, WithoutEffect) for mark in field.metadata)
