"""JSON Schema of specs in this installation: editors complete and check a spec with it.

A component's table is closed once `use` says which component it is, so each unknown key is reported
once. What needs more than one table (names that repeat, unknown inputs) only `mmlab validate` sees.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from mmlab.errors import PluginError
from mmlab.plan.options import cleaned, json_schema, nested_options
from mmlab.plan.registry import ComponentEntry, Registry
from mmlab.spec import (
    Component,
    DatasetTable,
    EncoderTable,
    EvaluateTable,
    FusionTable,
    GeneratorTable,
    LossTable,
    Spec,
)

Json = dict[str, Any]  # Any: JSON Schema is JSON

#: The table of a spec in which each kind of component is chosen.
TABLES: Mapping[str, type[Component]] = {
    "dataset": DatasetTable,
    "encoder": EncoderTable,
    "evaluator": EvaluateTable,
    "fusion": FusionTable,
    "generator": GeneratorTable,
    "head": Component,
    "loss": LossTable,
    "metric": Component,
    "optimizer": Component,
    "schedule": Component,
}


def spec_schema(registry: Registry) -> Json:
    """The schema, every option of every installed component included.

    Components that cannot be imported may have any option, and say why in their description.
    """
    schema = cleaned(Spec.model_json_schema())
    definitions = {name: cleaned(table) for name, table in schema.pop("$defs").items()}
    for kind in TABLES:
        definitions |= _kind(kind, registry)
    properties = schema["properties"]
    for kind in ("dataset", "head", "generator"):
        properties[kind] = _reference(kind)
    for kind in ("optimizer", "schedule"):
        definitions["TrainTable"]["properties"][kind] |= _reference(kind)
    for kind, table in TABLES.items():
        if table is not Component:
            properties = _renamed(properties, table.__name__, kind)
        definitions.pop(table.__name__, None)
    definitions["SweepTable"]["properties"]["axes"] |= _axes()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mmlab spec",
        "description": schema["description"],
        "type": "object",
        "properties": properties,
        "anyOf": [{"required": schema["required"]}, {"required": ["extends"]}],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _axes() -> Json:
    """Axes whose members are whole tables; those of any other axis may be anything."""
    tables = {kind: {"type": "array", "items": _reference(kind)} for kind in TABLES}
    return {
        "properties": {
            **{kind: tables[kind] for kind in ("dataset", "fusion", "generator", "head")},
            **{f"train.{kind}": tables[kind] for kind in ("optimizer", "schedule")},
        },
        "patternProperties": {r"^encoders\.[^.]+$": tables["encoder"]},
    }


def _kind(kind: str, registry: Registry) -> Json:
    """Definitions of one kind: its table, and its table for each of its components."""
    entries = [entry for entry in registry.entries(kind) if entry.state == "ok"]
    own = _own_properties(kind)
    branches = [
        {
            "if": {"properties": {"use": {"const": entry.name}}, "required": ["use"]},
            "then": _reference(f"{kind}.{entry.name}"),
        }
        for entry in entries
    ]
    names = {"enum": [entry.name for entry in entries], "description": f"which {kind}"}
    table = {
        "type": "object",
        "required": ["use"],
        "properties": {**_described(own), "use": names},
        "additionalProperties": True,  # the branches below check all keys, each once
    }
    definitions: Json = {kind: {**table, "allOf": branches} if branches else table}
    for entry in entries:
        definitions |= _component(entry, registry, own)
    return definitions


def _described(properties: Json) -> Json:
    """What keys mean, without a word about their values: tables among them may hold any key.

    Editors that take tables for closed unless told otherwise (Tombi) would refuse their keys.
    """
    return {
        key: {"description": value.get("description", ""), "additionalProperties": True}
        for key, value in properties.items()
    }


def _own_properties(kind: str) -> Json:
    """The keys that mmlab reads beside `use`."""
    properties: Json = cleaned(TABLES[kind].model_json_schema())["properties"]
    if kind == "evaluator":
        properties["dataset"] = _reference("dataset")
        suite = _renamed(properties["datasets"], "DatasetTable", "dataset")
        properties["datasets"] = {**suite, "additionalProperties": False}
    return properties


def _component(entry: ComponentEntry, registry: Registry, own: Json) -> Json:
    """The closed table of one component, and what its options refer to."""
    name = f"{entry.kind}.{entry.name}"
    try:
        factory = registry.resolve(entry.kind, entry.name)
        options = _renamed(json_schema(factory), "", f"{name}.")
    except PluginError as error:
        return {name: {"description": str(error), "properties": own}}
    about = (inspect.getdoc(factory) or "").partition("\n\n")[0]
    for key, nested in nested_options(factory).items():
        if TABLES[nested.kind] is Component:  # one of no keys but `use` and its options
            options["properties"][key]["items"] = _reference(nested.kind)
    table = {
        "type": "object",
        "description": about.replace("\n", " "),
        "properties": {**own, "use": {"const": entry.name}, **options["properties"]},
        "required": ["use", *options.get("required", ())],
        "additionalProperties": False,
    }
    inner = {f"{name}.{key}": value for key, value in options.get("$defs", {}).items()}
    return {name: table, **inner}


def _reference(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _renamed(schema: Json, name: str, new_name: str) -> Json:
    """A schema whose references to definitions beginning with a name begin with another."""
    text = json.dumps(schema).replace(f'"#/$defs/{name}', f'"#/$defs/{new_name}')
    renamed: Json = json.loads(text)
    return renamed
