"""A factory's signature as a schema: its keyword-only parameters are the options of a spec."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Le
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import SchemaError, to_json

from mmlab.errors import PluginError, explain
from mmlab.plan.content import Content
from mmlab.plan.describe import adapter_of, describe, mark_later, neutrals
from mmlab.plugin import LARGEST_SIZE, RESERVED_OPTIONS, SUPPLIED, EncoderKey, Nested
from mmlab.spec.faults import Fault, unknown_name
from mmlab.spec.tables import READ_BESIDE, Component
from mmlab.spec.validation import validation_faults

Factory = Callable[..., Any]  # Any: factories differ by kind, and the contracts are protocols

_NO_DEFAULT = inspect.Parameter.empty
_BARE_MODULE = ("torch.nn.modules.module", "Module")  # its __init__ takes *args and uses none
_FIELD = "option_"  # before field names, so that an option may be called `json` or `copy`


def supplied(factory: Factory) -> tuple[str, ...]:
    """The positional parameters of a factory, in order: what mmlab passes to it.

    Raises PluginError for `*args`, which name nothing.
    """
    parameters = _parameters(factory)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise _refused(factory, "has *args", "named parameters", "name what mmlab is to supply")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in positional)


@lru_cache(maxsize=256)
def option_model(factory: Factory) -> type[BaseModel]:
    """The keyword-only parameters of a factory as a strict pydantic model.

    Fields are named `option_NAME` with the option's name as alias. Raises PluginError for a
    signature that makes no schema.
    """
    parameters = _parameters(factory)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise _refused(factory, "has **kwargs", "keyword-only parameters", "name every option")
    options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    fields: dict[str, Any] = {_FIELD + p.name: _field(factory, p) for p in options}
    try:
        model: type[BaseModel] = create_model(
            getattr(factory, "__name__", "Options"),
            __config__=_CONFIG,
            __module__=factory.__module__,
            **fields,
        )
        model.model_rebuild()
    except (PydanticUserError, SchemaError, TypeError, NameError) as error:
        found = str(error).splitlines()[0]
        allowed = "types that TOML can say and pydantic can check"
        raise _refused(factory, f"has options without schema: {found}", allowed) from error
    neutrals(model)  # so that one that is not valid is told wherever the options are asked for
    return model


_CONFIG = ConfigDict(
    strict=True,
    extra="forbid",
    allow_inf_nan=False,
    protected_namespaces=(),
    field_title_generator=lambda name, field: field.alias or name,
)


def check_options(
    kind: str,
    name: str,
    factory: Factory,
    options: Mapping[str, object],
    beside: Sequence[str] | None = None,
) -> tuple[dict[str, object], list[Fault]]:
    """Every option with its value or default, and what is wrong with those given.

    `beside` are the other keys that the table may have: those of the kind's tables unless given.
    Paths are as they are written. Fault paths begin at the component's table. Raises PluginError
    when the factory's signature breaks the contract.
    """
    unknown = set(supplied(factory)) - SUPPLIED[kind]
    if unknown:
        allowed = f"any of {', '.join(sorted(SUPPLIED[kind])) or 'none'}; options after `*`"
        raise _refused(factory, f"asks for {', '.join(sorted(unknown))}", allowed)
    model = option_model(factory)
    known = [str(field.alias) for field in model.model_fields.values()]
    if beside is None:
        beside = [key for key in READ_BESIDE.get(kind, Component).model_fields if key != "use"]
    faults = [_unknown(kind, name, key, known, beside) for key in options if key not in known]
    given = {key: value for key, value in options.items() if key in known}
    try:
        # Strict JSON has arrays for tuples and strings for paths; strict Python refuses them.
        valid = model.model_validate_json(to_json(given, inf_nan_mode="constants"))
    except ValidationError as error:
        return {}, faults + validation_faults(error, given, json_schema(factory))
    values = {key: getattr(valid, _FIELD + key) for key in known}
    defaults = [key for key in known if _FIELD + key not in valid.model_fields_set]
    return {**values, **{key: _typed(model, key, values[key]) for key in defaults}}, faults


def _typed(model: type[BaseModel], key: str, default: object) -> object:
    """A default as its type reads it: an integer of a float as a float, as a spec's would be.

    One that its own type refuses stays as the factory's author wrote it.
    """
    if default is None or isinstance(default, (str, bool)):
        return default
    try:
        return _adapter(model, key).validate_python(default, strict=True)
    except ValidationError:
        return default


@lru_cache(maxsize=1024)
def _adapter(model: type[BaseModel], key: str) -> TypeAdapter[object]:
    return adapter_of(model.model_fields[_FIELD + key])


def describe_options(
    factory: Factory, options: Mapping[str, object], paths: Callable[[str, Path], object]
) -> dict[str, Content]:
    """Validated options as content of an identity; `paths` gives what stands for an option's path.

    Those that were added later are marked. Raises PluginError for a neutral value that is none.
    """
    described = {key: describe(value, partial(paths, key)) for key, value in options.items()}
    return mark_later(described, neutrals(option_model(factory)))


def encoder_options(factory: Factory) -> list[str]:
    """The options that name an encoder of the spec, by their annotation."""
    fields = option_model(factory).model_fields.values()
    return [
        str(field.alias)
        for field in fields
        if any(isinstance(mark, EncoderKey) for mark in field.metadata)
    ]


def has_sizes(factory: Factory) -> bool:
    """Whether an option says how large something is made, by its annotation `Size`."""
    fields = option_model(factory).model_fields.values()
    return any(Le(LARGEST_SIZE) in field.metadata for field in fields)


def nested_options(factory: Factory) -> dict[str, Nested]:
    """The options that list components, by their annotation."""
    fields = option_model(factory).model_fields.values()
    marks = {str(field.alias): field.metadata for field in fields}
    return {key: mark for key, found in marks.items() for mark in found if isinstance(mark, Nested)}


def json_schema(factory: Factory) -> dict[str, Any]:  # Any: JSON Schema is JSON
    """JSON Schema of a factory's options, as `mmlab schema` and error messages use it."""
    schema = option_model(factory).model_json_schema(schema_generator=_SchemaGenerator)
    without_docstring = {key: item for key, item in schema.items() if key != "description"}
    return {"type": "object", "properties": {}, **cleaned(without_docstring)}


class _SchemaGenerator(GenerateJsonSchema):
    """pydantic's generator; a default that JSON cannot say is left out silently."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Say nothing: the default is still in the signature."""


def cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without the titles pydantic makes up, and without null, which TOML cannot say."""
    kept = {key: value for key, value in schema.items() if not _is_noise(key, value)}
    for key in ("properties", "$defs"):
        if key in kept:
            kept[key] = {name: cleaned(inner) for name, inner in kept[key].items()}
    members = [member for member in kept.get("anyOf", ()) if member != {"type": "null"}]
    if len(members) == 1:
        del kept["anyOf"]
        return {**members[0], **kept}
    return {**kept, "anyOf": members} if members else kept


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _parameters(factory: Factory) -> list[inspect.Parameter]:
    """Parameters of a factory, annotations unevaluated where the language allows it."""
    options: dict[str, Any] = {}
    if sys.version_info >= (3, 14):
        import annotationlib

        options["annotation_format"] = annotationlib.Format.FORWARDREF
    if isinstance(factory, type) and _is_bare_module(factory):
        return []
    try:
        return list(inspect.signature(factory, **options).parameters.values())
    except (TypeError, ValueError) as error:
        raise _refused(factory, f"has no signature: {error}", "a class or function") from error


def _is_bare_module(factory: type) -> bool:
    """Whether it is a torch module without an __init__ of its own."""
    defined = next(cls for cls in factory.__mro__ if "__init__" in vars(cls))
    return (defined.__module__, defined.__name__) == _BARE_MODULE


def _field(factory: Factory, parameter: inspect.Parameter) -> tuple[Any, Any]:
    """An option as pydantic's `create_model` takes it."""
    name = parameter.name
    if name in RESERVED_OPTIONS:
        allowed = f"any name but {', '.join(sorted(RESERVED_OPTIONS))}"
        raise _refused(factory, f"has an option {name!r}, a key mmlab itself reads", allowed)
    annotation = _annotation(factory, parameter)
    default = parameter.default
    if default not in (None, _NO_DEFAULT) and _allows_none(annotation):
        raise _refused(
            factory,
            f"has an option {name!r} that may be None but is not by default",
            "None as default, for TOML has no null",
            "use another value for 'none'",
        )
    field = Field(alias=name) if default is _NO_DEFAULT else Field(default, alias=name)
    return annotation, field


def _annotation(factory: Factory, parameter: inspect.Parameter) -> Any:
    """One option's annotation, evaluated; those of other parameters may be for type checkers."""
    annotation = parameter.annotation
    if annotation is _NO_DEFAULT:
        found = f"has an option {parameter.name!r} without annotation"
        raise _refused(factory, found, "an annotation that pydantic reads")
    if not isinstance(annotation, str):
        return annotation
    names = dict(vars(factory)) if isinstance(factory, type) else {}
    try:
        return eval(annotation, _globals(factory), names)
    except Exception as error:  # an annotation is any expression of the plugin's author
        found = f"has an option {parameter.name!r} whose annotation fails: {error}"
        raise _refused(factory, found, "names that exist when the module is imported") from error


def _globals(factory: Factory) -> dict[str, Any]:
    """The names of the module that a factory's signature was written in."""
    name = "__init__" if isinstance(factory, type) else "func"  # a partial's function
    written = inspect.unwrap(getattr(factory, name, factory))
    return dict(getattr(written, "__globals__", {}))


def _allows_none(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _allows_none(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(_allows_none(member) for member in get_args(annotation))
    return annotation is None or annotation is type(None)


def _unknown(kind: str, name: str, key: str, known: list[str], beside: Sequence[str]) -> Fault:
    what = f'option of the {kind} "{name}"'
    fault = unknown_name((key,), what, known, table=kind, also=beside)
    if beside:
        fault = replace(fault, allowed=f"{fault.allowed}; beside them {', '.join(beside)}")
    if key not in RESERVED_OPTIONS:
        return fault
    message = f"mmlab reads this key in other tables, but not beside this {kind}"
    return replace(fault, message=message, next_step="remove it")


def _refused(
    factory: Factory, found: str, allowed: str, next_step: str = "tell the plugin's author"
) -> PluginError:
    place = f"{factory.__module__}:{getattr(factory, '__qualname__', factory)}"
    return PluginError(
        explain(
            place,
            "its signature cannot be read as options",
            found=found,
            allowed=allowed,
            next_step=next_step,
        )
    )
