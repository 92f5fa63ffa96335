"""What pydantic refused, in the words of the spec: each fault with what a schema allows there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mmlab.spec.faults import (
    NOT_FINITE,
    Fault,
    Where,
    dotted,
    meant_by,
    nearest,
    show,
    unknown_name,
)

Schema = Mapping[str, Any]  # Any: JSON Schema is JSON

#: What a schema may say in place of its `pattern`, which few people read: "with exactly one {}".
FORM = "x-form"


def validation_faults(error: ValidationError, given: object, schema: Schema) -> list[Fault]:
    """What pydantic refused in `given`, one fault per place, in the order of the model.

    A union reports once for each of its members; the most telling of these is kept, which is what
    is wrong inside the value where a member says that.
    """
    faults: dict[Where, tuple[bool, Fault]] = {}
    for detail in error.errors(include_url=False):
        fault = _fault(detail, given, schema)
        is_telling = not detail["type"].endswith("_type")
        if fault.path not in faults or (is_telling and not faults[fault.path][0]):
            faults[fault.path] = (is_telling, fault)
    outer = {path[:end] for path in faults for end in range(len(path))}
    return [fault for path, (_, fault) in faults.items() if path not in outer]


def _fault(detail: ErrorDetails, given: object, schema: Schema) -> Fault:
    path, value = _follow(detail["loc"], given)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        table = "spec" if len(path) == 1 else str(path[0])
        keys = _keys(_walk(schema, path[:-1], schema), schema)
        return unknown_name(path, "key", keys, table=table)
    if kind == "missing":
        return _missing((*path, detail["loc"][-1]), value, schema)
    if "next_step" in context:  # a validator that says more than pydantic can
        allowed, next_step = context["allowed"], context["next_step"]
        return Fault(path, detail["msg"], show(value), allowed, next_step)
    described = _walk(schema, path, schema)
    allowed = describe(described, schema) or detail["msg"]
    message, next_step = _advice(kind, detail["msg"], value, context.get("expected", ""))
    next_step = _table_step(path, value, described, schema) or next_step
    return ranged(Fault(path, message, found=show(value), allowed=allowed, next_step=next_step))


def ranged(fault: Fault, schema: Schema | None = None) -> Fault:
    """The fault of a number that is not finite, with the range that a schema gives its place."""
    if fault.message != NOT_FINITE:
        return fault
    allowed = (
        fault.allowed if schema is None else describe(_walk(schema, fault.path, schema), schema)
    )
    if not allowed.startswith("a number"):
        return fault
    return replace(fault, allowed=allowed.replace("a number", "a finite number", 1))


def _missing(path: Where, table: object, schema: Schema) -> Fault:
    key = path[-1]
    if isinstance(key, int):  # of an array that has a fixed length
        allowed = describe(_walk(schema, path[:-1], schema), schema)
        return Fault(path[:-1], "too few", show(table), allowed, "add what is missing")
    allowed = describe(_walk(schema, path, schema), schema) or "a value"
    fault = Fault(path, "missing", "no such key", allowed, f"add {key} = ...")
    if key != "use":
        return fault
    # Which components there are is known where plugins are.
    return replace(other_use(fault, table), is_vague=True)


def other_use(fault: Fault, table: object) -> Fault:
    """The fault of a missing `use`, with the key that names the component in its place."""
    for key, value in table.items() if isinstance(table, Mapping) else ():
        meant = meant_by("component", str(key))
        if meant is not None:
            step = f"rename {key} to use" if key != "_target_" else meant.next_step
            return replace(fault, found=f"{key} = {show(value)}", next_step=step)
    return fault


def _table_step(path: Where, value: object, schema: Schema, root: Schema) -> str | None:
    """What to write where a table is meant, or an array of tables, and something else stands."""
    header = dotted(tuple(part for part in path if isinstance(part, str)))
    members = [_resolve(member, root) for member in schema.get("anyOf", [schema])]
    items = [_resolve(member.get("items", {}), root) for member in members]
    is_array = any("properties" in item for item in items)
    if is_array and isinstance(value, Mapping):
        return f"write [[{header}]], with two brackets, above each table"
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        is_table = any(member.get("type") == "object" for member in members)
        return f"write [{header}], with single brackets" if is_table else None
    if not isinstance(value, str) or not any(_names_use(one) for one in (*members, *items)):
        return None
    meant = meant_by("value", value)
    use = 'use = "adamw"' if meant and value == "adam" else f"use = {show(value)}"
    if is_array or isinstance(path[-1], int):
        return f"write [[{header}]] and below it {use}"
    return f"write [{header}] and below it {use}, or {{ {use} }} in its place"


def _names_use(schema: Schema) -> bool:
    return "use" in schema.get("properties", {})


def _advice(kind: str, said: str, value: object, expected: str) -> tuple[str, str]:
    """What is wrong and what to do about it, for one of pydantic's error types."""
    if kind in ("literal_error", "enum") and isinstance(value, str):
        suggestion = nearest(value, [part.strip("' ") for part in expected.split("'")])
        if suggestion == value:  # it is not of the type that is allowed: "1" where 1 is
            return "wrong type", "write it without quotes"
        hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
        if meant := meant_by("value", value):
            return f"unknown value: this is {meant.meaning}", meant.next_step
        return f"unknown value{hint}", "choose one of the allowed values"
    if kind.startswith("bool"):
        return "wrong type", "write true or false"
    if kind.endswith("_type") and value in ("None", "null", "nil"):
        return "wrong type", "remove the key: what is left out has its default"
    if kind == "finite_number":
        return NOT_FINITE, "set a number within the range"
    if kind.endswith("_type"):
        quoted = isinstance(value, str) and kind not in ("list_type", "dict_type")
        return "wrong type", f"write a value of this type{', without quotes' if quoted else ''}"
    if kind.startswith(("greater", "less", "multiple")):
        return "out of range", "set a value within the range"
    if kind.endswith(("too_short", "too_long")):
        return _size_advice(kind)
    if kind == "string_pattern_mismatch":
        return "not of the form that is allowed", "write it in that form"
    if kind == "value_error":
        return said.removeprefix("Value error, "), "correct the value"
    return said[:1].lower() + said[1:], "correct the value"


def _size_advice(kind: str) -> tuple[str, str]:
    if kind.startswith("string"):
        step = "write more characters" if kind.endswith("short") else "write fewer characters"
        return kind.removeprefix("string_").replace("_", " "), step
    return (
        ("too few", "add what is missing") if kind == "too_short" else ("too many", "take some out")
    )


def _follow(location: Sequence[str | int], given: object) -> tuple[Where, object]:
    """The part of a pydantic location that is in the data, and the value there.

    pydantic puts the names of union members between the keys; those are left out.
    """
    path: list[str | int] = []
    value: Any = given  # Any: tables and arrays as tomllib gives them
    for part in location:
        if _has(value, part):
            value = value[part]
            path.append(part)
    return tuple(path), value


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _walk(schema: Schema, path: Where, root: Schema) -> Schema:
    """The part of a JSON Schema that describes a place; empty where there is none."""
    schema = _resolve(schema, root)
    if not path:
        return schema
    for member in schema.get("anyOf", ()):
        if found := _walk(member, path, root):
            return found
    return _walk(_child(schema, path[0]), path[1:], root)


def _keys(schema: Schema, root: Schema) -> list[str]:
    """The keys of a table, or of the tables of a union."""
    schema = _resolve(schema, root)
    inner = [key for member in schema.get("anyOf", ()) for key in _keys(member, root)]
    return [*schema.get("properties", {}), *inner]


def _child(schema: Schema, part: str | int) -> Schema:
    if isinstance(part, str):
        others = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        child = schema.get("properties", {}).get(part, others[0])
    else:
        prefix = schema.get("prefixItems", ())
        child = prefix[part] if part < len(prefix) else schema.get("items")
    return child if isinstance(child, Mapping) else {}


def _resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found = root["$defs"][str(reference).removeprefix("#/$defs/")]
    assert isinstance(found, Mapping), "a reference leads to a schema"
    return found


_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "object": "a table",
}
_BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "pattern": "matching {}",
}
_COUNTS = {
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minProperties": "at least {}",
    "maxProperties": "at most {}",
}


def describe(schema: Schema, root: Schema) -> str:
    """What a JSON Schema allows, in a few words.

    >>> describe({"type": "integer", "minimum": 1}, {})
    'an integer >= 1'
    """
    schema = _resolve(schema, root)
    if "enum" in schema or "const" in schema:
        return ", ".join(map(show, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        members = [m for m in schema["anyOf"] if m.get("type") != "null"]
        return " or ".join(describe(member, root) for member in members)
    return " ".join(filter(None, [_type(schema, root), _bounds(schema, _BOUNDS)]))


def _bounds(schema: Schema, words: Mapping[str, str]) -> str:
    """The bounds of a schema; the form of a text in the words of its option, if that has some."""
    said = {key: text.format(schema[key]) for key, text in words.items() if key in schema}
    if "pattern" in said:
        said["pattern"] = str(schema.get(FORM, said["pattern"]))
    return " and ".join(said.values())


def _type(schema: Schema, root: Schema) -> str:
    name, count = schema.get("type", ""), _bounds(schema, _COUNTS)
    if "minItems" in schema and schema["minItems"] == schema.get("maxItems"):
        count = str(schema["minItems"])
    if name != "array":
        return " of ".join(filter(None, [_TYPES.get(name, ""), count and f"{count} keys"]))
    array = f"an array of {count}" if count else "an array"
    items = describe(schema.get("items") or next(iter(schema.get("prefixItems", ())), {}), root)
    return f"{array}, each {items}" if items else array
