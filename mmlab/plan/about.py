"""What a component is, in the first line of its docstring, read without importing it.

To import every component takes as long as all the libraries they use.
"""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

_Documented = ast.ClassDef | ast.FunctionDef


def describe_target(target: str) -> str:
    """The first line of the docstring of "module:attribute"; "" where its source does not say.

    >>> describe_target("mmlab.train.schedules:Constant")
    'The same rate throughout: lr.'
    """
    module, _, attribute = target.partition(":")
    tree = _read(module)
    if tree is None:
        return ""
    body, found = tree.body, None
    for name in attribute.split("."):
        named = (each for each in body if isinstance(each, _Documented) and each.name == name)
        if (found := next(named, None)) is None:
            return ""
        body = found.body
    said = ast.get_docstring(found) if found is not None else None
    return said.partition("\n")[0] if said else ""


def _read(module: str) -> ast.Module | None:
    spec = _find(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _find(module: str) -> ModuleSpec | None:
    """Where a module is; importlib's own search would import the packages it is in."""
    spec, path, name = None, None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec
