"""Validated values as content of an identity, and the neutral values that signatures declare.

A model here is a pydantic model: a table of a spec, the options of a factory, or an option's value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from mmlab.errors import PluginError, explain
from mmlab.hashing import canonical_json
from mmlab.plan.content import Content, Described, Later, hashed
from mmlab.plugin import Added

#: What stands for a path: its text, or what is there.
Paths = Callable[[Path], object]
#: Types whose values are JSON as they are.
_PLAIN = frozenset((str, int, float, bool, type(None)))


def describe(value: object, paths: Paths = str) -> Content:
    """A validated value as content; `paths` gives what stands for a `Path` or any `os.PathLike`.

    Sets are sorted. Fields of pydantic models may carry `Added`.
    """
    if type(value) in _PLAIN:  # most are, and an `isinstance` of a protocol takes its time
        return value
    if isinstance(value, os.PathLike):
        return paths(Path(value.__fspath__()))  # `os.fspath` takes a str as it is
    if isinstance(value, Described):
        return value.content()
    if isinstance(value, BaseModel):
        return _model(value, paths)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: describe(getattr(value, part.name), paths) for part in fields(value)}
    if isinstance(value, Mapping):
        return {_json_key(key): describe(inner, paths) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [describe(inner, paths) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(inner, paths) for inner in value), key=canonical_json)
    return cast(object, to_jsonable_python(value))


def _json_key(key: object) -> str:
    return key if isinstance(key, str) else str(to_jsonable_python(key))


def _model(model: BaseModel, paths: Paths) -> dict[str, Content]:
    described = {key: describe(value, paths) for key, value in _values(model).items()}
    return mark_later(described, neutrals(type(model)))


def _values(model: BaseModel, keys: Iterable[str] | None = None) -> dict[str, object]:
    """Values of all fields, or of some, by the names that JSON has for them; extra ones too."""
    known = type(model).model_fields
    chosen = known if keys is None else [key for key in keys if key in known]
    return {**{known[key].alias or key: getattr(model, key) for key in chosen}, **_extra(model)}


def _extra(model: BaseModel) -> Mapping[str, object]:
    return model.__pydantic_extra__ or {}


def mark_later(
    described: Mapping[str, Content], neutral: Mapping[str, object]
) -> dict[str, Content]:
    """Contents by key, those that were added later beside their neutral values."""
    return {
        key: Later(content, neutral[key]) if key in neutral else content
        for key, content in described.items()
    }


# --- neutral values --------------------------------------------------------------------------
@lru_cache(maxsize=512)
def neutrals(model: type[BaseModel]) -> Mapping[str, object]:
    """Neutral contents of a model's fields that were added later, by name or alias.

    Raises PluginError for one that its field does not allow.
    """
    return {
        field.alias or key: hashed(_as_given(neutral_value(model, key)))
        for key, field in model.model_fields.items()
        if added(field) is not None
    }


def added(field: FieldInfo) -> Added | None:
    """The mark of a field that was added later, if it has one; the outermost counts."""
    marks = [mark for mark in field.metadata if isinstance(mark, Added)]
    return marks[-1] if marks else None


def neutral_value(model: type[BaseModel], key: str) -> object:
    """A field's neutral value as its type reads it from JSON. Raises PluginError if it does not."""
    field = model.model_fields[key]
    mark = added(field)
    assert mark is not None, "only asked for where the field has the mark"
    place = f"{model.__module__}:{model.__name__}: {field.alias or key}"
    if isinstance(mark.neutral, BaseModel) or is_dataclass(mark.neutral):
        raise _not_neutral(place, mark, "it holds defaults, which may change")
    try:
        return adapter_of(field).validate_json(to_json(mark.neutral), strict=True)
    except (ValidationError, PydanticSerializationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise _not_neutral(place, mark, reason) from error


def adapter_of(field: FieldInfo) -> TypeAdapter[object]:
    """What validates one field's values alone."""
    if not field.metadata:
        return TypeAdapter(cast(type[object], field.annotation))
    hint: Any = Annotated[field.annotation, *field.metadata]  # Any: a type made at run time
    return TypeAdapter(hint)


def _not_neutral(place: str, mark: Added, reason: str) -> PluginError:
    return PluginError(
        explain(
            place,
            f"its neutral value is not valid: {reason}",
            found=f"Added({mark.neutral!r})",
            allowed="a plain value that a spec could set there",
            next_step="tell the plugin's author",
        )
    )


def _as_given(value: object) -> Content:
    """A neutral value as content, without what it leaves to defaults: those may change."""
    if isinstance(value, BaseModel):
        given = _values(value, value.model_fields_set)
        described = {key: _as_given(inner) for key, inner in given.items()}
        return mark_later(described, neutrals(type(value)))
    if isinstance(value, Mapping):
        return {_json_key(key): _as_given(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_given(inner) for inner in value]
    return describe(value)
