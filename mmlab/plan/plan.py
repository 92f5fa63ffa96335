"""A plan: a cell with its components found and their options checked. It says what will be built.

Needs no data and no device; `mmlab validate` and `mmlab run --dry-run` stop here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmlab.errors import explain
from mmlab.plan.component import Resolved
from mmlab.plugin import GENERATED
from mmlab.records import Match
from mmlab.spec import Asked, Cell, EvaluateTable, LossTable, SourceTable, asked_of
from mmlab.spec.faults import Where
from mmlab.spec.places import Place, describe, render_explained


def where_of(key: str) -> tuple[str, ...]:
    """The table of a spec in which what reads an input stands.

    >>> where_of("image"), where_of(GENERATED)
    (('encoders', 'image'), ('generator',))
    """
    return ("generator",) if key == GENERATED else ("encoders", key)


@dataclass(frozen=True)
class Plan:
    """A cell whose every component is known to exist, with options known to be valid.

    Losses and evaluators are keyed by their names in the spec, encoders by their keys; encoders
    that nothing reads are in `unread`, and no part of what is built. Without [train] there is
    neither optimiser nor schedule.
    `evaluate_datasets` holds the dataset of each evaluation that names one of its own. `match` says
    how a budget of parameters was met, once it is known.
    """

    cell: Cell
    dataset: Resolved
    encoders: Mapping[str, Resolved]
    fusion: Resolved
    head: Resolved | None
    losses: Mapping[str, Resolved]
    optimizer: Resolved | None
    schedule: Resolved | None
    evaluators: Mapping[str, Resolved]
    evaluate_datasets: Mapping[str, Resolved]
    match: Match | None = None
    unread: Mapping[str, Resolved] = field(default_factory=dict)
    generator: Resolved | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Encoder keys in the fusion's order."""
        return tuple(self.cell.spec.fusion.inputs or self.encoders)

    @property
    def loss_tables(self) -> dict[str, LossTable]:
        """The spec's loss tables by name."""
        return {table.name or table.use: table for table in self.cell.spec.losses}

    @property
    def asked(self) -> dict[str, Asked]:
        """The spec's evaluations by name; of a suite one for each of its datasets."""
        return {one.name: one for one in asked_of(self.cell.spec.evaluate)}

    @property
    def evaluate_tables(self) -> dict[str, EvaluateTable]:
        """The tables of the spec's evaluations by name, each with one dataset or none."""
        return {name: one.table for name, one in self.asked.items()}

    @property
    def reads(self) -> frozenset[str]:
        """What fusion, losses and generator read of the encoders: "pooled", "tokens"."""
        read: set[str] = set(self.fusion.declares("reads"))
        if self.generator is not None:
            read |= self.generator.declares("reads")
        for loss in self.losses.values():
            read |= loss.declares("reads")
        return frozenset(read & {"tokens"} | {"pooled"})

    @property
    def needs_similarity(self) -> bool:
        """Whether a loss asks for the scores of pairs; whoever else does gets what it trained."""
        return any("similarity" in loss.declares("reads") for loss in self.losses.values())

    @property
    def predicts_targets(self) -> bool:
        """Whether the head has an output for each of the dataset's targets, not for each label."""
        return any("targets" in loss.declares("reads") for loss in self.losses.values())

    @property
    def width_option(self) -> str | None:
        """The option that sets the fusion's width: what its class declares, else `dim`."""
        option = getattr(self.fusion.factory, "width_option", "dim")
        return option if option in self.fusion.options else None

    def modality(self, key: str) -> str:
        """The modality that an encoder reads: its own setting, or its key; that of GENERATED."""
        if key == GENERATED:
            table = self.cell.spec.generator
            assert table is not None, "only asked for where there is one"
            return table.target
        return self.cell.spec.encoders[key].modality or key

    @property
    def reading(self) -> dict[str, Resolved]:
        """What reads samples, by the key of its input: encoders, and a generator its target."""
        generator = {} if self.generator is None else {GENERATED: self.generator}
        return {**self.encoders, **generator}

    @property
    def weights_tables(self) -> dict[str, SourceTable]:
        """Where first weights come from, by the key of an encoder or GENERATED, of those that say.

        Their keys are those of `reading`.
        """
        spec = self.cell.spec
        tables = {key: spec.encoders[key].weights for key in self.encoders}
        found: dict[str, SourceTable | None] = {**tables}
        if spec.generator is not None:
            found[GENERATED] = spec.generator.weights
        return {key: table for key, table in found.items() if table is not None}

    def place(self, *where: str) -> str:
        """A part of the spec, as messages name it: `file:line:column: table.key`."""
        return f"{describe(self._written(where))}: {'.'.join(where)}"

    def explain(self, where: Sequence[str], fault: str, **parts: Any) -> str:
        """As `mmlab.errors.explain`, with the line of the spec; evaluations go by their names."""
        return render_explained(self._written(where), explain(".".join(where), fault, **parts))

    def _written(self, where: Sequence[str]) -> Place:
        path: Where = tuple(where)
        if where[0] == "evaluate":
            one = self.asked[where[1]]
            path = one.data if where[2:] == ("dataset",) else ("evaluate", one.position, *where[2:])
        return self.cell.source.document.place(path)

    def components(self) -> Iterator[tuple[Where, Resolved]]:
        """Every component of the plan, with the place of its table in the spec."""
        yield ("dataset",), self.dataset
        yield from ((("encoders", key), encoder) for key, encoder in self.encoders.items())
        yield ("fusion",), self.fusion
        if self.head is not None:
            yield ("head",), self.head
        if self.generator is not None:
            yield ("generator",), self.generator
        yield from ((("losses", i), loss) for i, loss in enumerate(self.losses.values()))
        if self.optimizer is not None:
            yield ("train", "optimizer"), self.optimizer
        if self.schedule is not None:
            yield ("train", "schedule"), self.schedule
        for name, one in self.asked.items():
            yield ("evaluate", one.position), self.evaluators[name]
            if name in self.evaluate_datasets:
                yield one.data, self.evaluate_datasets[name]
