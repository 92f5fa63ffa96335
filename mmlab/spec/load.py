"""Spec files loaded, checked, and expanded into the cells of their sweep.

What is wrong is reported all at once, each fault at its place in a file or an override.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmlab.errors import SpecError
from mmlab.spec.checks import check
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault
from mmlab.spec.overrides import Override, apply_overrides
from mmlab.spec.places import SourceText, render_located
from mmlab.spec.read import read_document
from mmlab.spec.sweep import labels
from mmlab.spec.sweep_checks import check_points, lost_settings
from mmlab.spec.tables import Spec, SweepTable


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


def load_spec(
    path: Path | str,
    overrides: Sequence[Override] = (),
    more_faults: Callable[[Document], Iterable[Fault]] = lambda document: (),
) -> SpecFile:
    """Read a spec with what it extends, set the overrides, and check it, its sweep included.

    Raises SpecError that names every fault with its place, and then also what `more_faults` knows.
    """
    path = Path(path)
    overridden = apply_overrides(read_document(path), overrides)
    document, located = overridden.document, overridden.faults
    located += lost_settings(document, overridden.patches)
    spec, faults = check(document)
    _, at_axes = check_points(document, faults)
    located += [(fault, document.place(fault.path)) for fault in faults]
    if spec is None or located or at_axes:
        known = {fault.path for fault in faults}
        found = [fault for fault in more_faults(document) if fault.path not in known]
        located += [(fault, document.place(fault.path)) for fault in found]
        raise SpecError(render_located([*located, *at_axes]))
    texts = tuple(override for override in overrides if isinstance(override, str))
    return SpecFile(path, document.main.text, spec, texts, document, overridden.patches)


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
