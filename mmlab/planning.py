"""From spec files to checked plans in the order in which they are to be executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from mmlab.builtins import BUILTINS
from mmlab.component_faults import check_replaced, component_faults
from mmlab.errors import MmlabError, SpecError
from mmlab.plan import Plan, prepare
from mmlab.registry import Registry
from mmlab.sources import in_order
from mmlab.spec import Override, SpecFile, expand, load_spec

S = TypeVar("S")
T = TypeVar("T")


def plan_specs(paths: Sequence[Path], overrides: Sequence[Override]) -> list[Plan]:
    """Every cell of every file, checked. Raises one error that holds the faults of all of them."""
    registry, errors = Registry.discover(BUILTINS), list[MmlabError]()

    def read(path: Path) -> list[SpecFile]:
        return [load_spec(path, overrides, partial(component_faults, registry, path))]

    files = [file for path in paths for file in _collect(read, path, errors)]
    for file in files:
        with _keeping(errors):
            check_replaced(registry, file.path, file.document)
    cells = [cell for file in files for cell in _collect(expand, file, errors)]
    plans = [
        plan
        for cell in cells
        for plan in _collect(lambda cell: [prepare(cell, registry)], cell, errors)
    ]
    if errors:
        worst = next((e for e in errors if isinstance(e, SpecError)), errors[0])
        raise type(worst)("\n\n".join(_paragraphs(errors)))
    return in_order(plans)


@contextmanager
def _keeping(errors: list[MmlabError]) -> Iterator[None]:
    """Go on after an error, which is kept."""
    try:
        yield
    except MmlabError as error:
        errors.append(error)


def _collect(make: Callable[[S], list[T]], source: S, errors: list[MmlabError]) -> list[T]:
    """What is made of a source, or nothing after keeping the error."""
    with _keeping(errors):
        return make(source)
    return []


def _paragraphs(errors: Sequence[MmlabError]) -> list[str]:
    """Each fault once: cells of one spec share most of theirs."""
    return list(dict.fromkeys(part for error in errors for part in str(error).split("\n\n")))
