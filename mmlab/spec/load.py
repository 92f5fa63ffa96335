"""Spec files loaded, checked, and expanded into the cells of their sweep.

What is wrong is reported all at once, each fault at its place in a file or an override.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from mmlab.errors import SpecError
from mmlab.spec.checks import check
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault
from mmlab.spec.overrides import Overridden, Override, apply_overrides
from mmlab.spec.places import Place, SourceText, render_located
from mmlab.spec.read import read_document
from mmlab.spec.sweep import labels
from mmlab.spec.sweep_checks import check_points, lost_settings
from mmlab.spec.tables import Spec, SweepTable

T = TypeVar("T")


@dataclass(frozen=True)
class SpecFile:
    """A spec and where each part of it is written. `text` is the file's own, without overrides.

    `overrides` are the texts of `--set`, `patches` the files of `--set-file`, as they were read.
    """

    path: Path
    text: str
    spec: Spec
    overrides: tuple[str, ...]
    document: Document
    patches: tuple[SourceText, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One point of a spec's sweep with one seed; `spec` is the spec at that point, without sweep.

    `axes` maps what differs from other cells to its value, and `label` says it in short; seeds are
    in neither. In `source`, what an axis set is placed at the axis. `budget` is how many parameters
    fusion and head may have, where the sweep matches its cells in that.
    """

    experiment: str
    index: int
    seed: int
    spec: Spec
    axes: Mapping[str, object]
    label: str
    source: SpecFile
    budget: int | None = None


@dataclass(frozen=True)
class Checked(Generic[T]):
    """Tables of a file, None where they are invalid, and what is wrong with them.

    `faults` are placed by their paths; those of `located` have their places.
    """

    tables: T | None
    faults: Sequence[Fault]
    located: Sequence[tuple[Fault, Place]] = ()


def read_tables(
    path: Path,
    check: Callable[[Overridden], Checked[T]],
    overrides: Sequence[Override] = (),
    more_faults: Callable[[Document], Iterable[Fault]] = lambda document: (),
) -> tuple[T, Overridden]:
    """Read a file with what it extends, set the overrides, and check it: its tables.

    Raises SpecError that names every fault with its place, and then also what `more_faults` knows.
    """
    overridden = apply_overrides(read_document(path), overrides)
    document, checked = overridden.document, check(overridden)
    located = [*overridden.faults, *checked.located]
    if checked.tables is not None and not checked.faults and not located:
        return checked.tables, overridden
    faults = _joined(checked.faults, list(more_faults(document)))
    located += [(fault, document.place(fault.path)) for fault in faults]
    raise SpecError(render_located(located))


def _joined(faults: Sequence[Fault], more: Sequence[Fault]) -> list[Fault]:
    """Faults, and others of places that have none yet, or a vague one, which gives way."""
    told = {fault.path for fault in more}
    kept = [fault for fault in faults if not (fault.is_vague and fault.path in told)]
    known = {fault.path for fault in kept}
    return [*kept, *(fault for fault in more if fault.path not in known)]


def load_spec(
    path: Path | str,
    overrides: Sequence[Override] = (),
    more_faults: Callable[[Document], Iterable[Fault]] = lambda document: (),
) -> SpecFile:
    """Read a spec and check it, its sweep included. Raises SpecError as `read_tables` does."""
    path = Path(path)
    spec, overridden = read_tables(path, _check_spec, overrides, more_faults)
    document = overridden.document
    texts = tuple(override for override in overrides if isinstance(override, str))
    return SpecFile(path, document.main.text, spec, texts, document, overridden.patches)


def _check_spec(overridden: Overridden) -> Checked[Spec]:
    spec, faults = check(overridden.document)
    _, at_axes = check_points(overridden.document, faults)
    lost = lost_settings(overridden.document, overridden.patches)
    return Checked(spec, faults, [*lost, *at_axes])


def expand(spec_file: SpecFile) -> list[Cell]:
    """The cells of a spec, in the order of its sweep; seeds change fastest."""
    checked, faults = check_points(spec_file.document, ())
    if faults:
        raise SpecError(render_located(faults))
    sweep = spec_file.spec.sweep or SweepTable()
    names = labels([point.settings for point in checked])
    return [
        Cell(
            experiment=spec_file.spec.name,
            index=position * len(sweep.seeds) + turn,
            seed=seed,
            spec=point.spec,
            axes={setting.path: setting.value for setting in point.settings},
            label=name,
            source=replace(spec_file, document=point.document),
            budget=sweep.budget,
        )
        for position, (point, name) in enumerate(zip(checked, names, strict=True))
        for turn, seed in enumerate(sweep.seeds)
    ]
