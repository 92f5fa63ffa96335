"""Keys of a spec's tables as what is hashed: all of them, but those that say otherwise."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from mmlab.errors import PluginError
from mmlab.hashing import digest
from mmlab.plan.component import Resolved
from mmlab.plan.content import hashed, whole
from mmlab.plan.options import check_options
from mmlab.plan.registry import ComponentEntry
from mmlab.plugin import Added
from mmlab.runner.identity import SpecContent
from mmlab.spec import Component, LoraTable, Spec, Table, TrainTable, WithoutEffect


class Cosine:
    """A schedule as it was first."""

    def __init__(self, *, end: float = 0.0) -> None: ...


class LaterCosine:
    """The schedule with an option that was added later."""

    def __init__(
        self, *, end: float = 0.0, cycles: Annotated[int, Field(ge=1), Added(1)] = 1
    ) -> None: ...


class ChangedCosine:
    """The schedule with another default."""

    def __init__(self, *, end: float = 0.1) -> None: ...


class RecomputedCosine(Cosine):
    """The schedule computing something else."""

    numerics = 2


class Before(Table):
    """A table of settings, as it was released."""

    lr: float = 1
    workers: Annotated[int, WithoutEffect()] = 0


class After(Before):
    """The table with what was added since: a number, a table, and a component that stands."""

    beta: Annotated[float, Field(ge=0), Added(0)] = 0.0
    lora: Annotated[LoraTable | None, Added(None)] = None
    patch: Annotated[LoraTable, Added({"rank": 8, "alpha": None, "targets": ["*"]})] = LoraTable()
    schedule: Annotated[Component, Added({"use": "cosine", "end": 0.0})] = Component(use="cosine")


def component(factory: type, options: dict[str, object], name: str = "cosine") -> Resolved:
    entry = ComponentEntry("head", name, "m:Factory", "mmlab", "0.1.0", "mmlab")
    valid, faults = check_options("head", name, factory, options)
    assert not faults
    return Resolved(entry, factory, valid)


def content(table: Table, factory: type = Cosine) -> dict[str, Any]:
    components = {}
    if isinstance(table, After):
        use, options = table.schedule.use, table.schedule.options
        components = {("schedule",): component(factory, options, use)}
    return SpecContent(components).table(table, ())


def identity(table: Table, factory: type = Cosine) -> str:
    return digest(hashed(content(table, factory)))


def test_keys_with_effect_are_hashed_with_their_defaults() -> None:
    assert hashed(content(Before())) == {"lr": 1.0}
    assert identity(Before(workers=3)) == identity(Before())
    assert identity(Before(lr=2)) != identity(Before())


def test_keys_added_later_change_nothing_where_they_are_left_alone() -> None:
    assert identity(After()) == identity(Before())
    assert identity(After(beta=0.0, workers=2)) == identity(Before())
    assert set(whole(content(After()))) == {"lr", "beta", "lora", "patch", "schedule"}


@pytest.mark.parametrize(
    "table",
    [
        After(beta=0.5),
        After(lora=LoraTable()),
        After(patch=LoraTable(rank=4)),
        After(schedule=Component.model_validate({"use": "cosine", "end": 0.5})),
        After(schedule=Component(use="linear")),
    ],
    ids=["number", "optional table", "table", "option of a component", "component"],
)
def test_keys_added_later_are_hashed_where_they_are_set(table: After) -> None:
    assert identity(table) != identity(Before())


def test_a_component_that_stands_may_get_options_but_not_other_defaults() -> None:
    assert identity(After(), LaterCosine) == identity(Before())
    assert identity(After(), ChangedCosine) != identity(Before())
    by_hand = After(schedule=Component.model_validate({"use": "cosine", "end": 0.0}))
    assert identity(by_hand, ChangedCosine) == identity(Before())


def test_a_component_that_stands_and_computes_something_else_is_hashed() -> None:
    assert identity(After(), RecomputedCosine) != identity(Before())


def test_a_component_that_stands_and_names_only_some_options_is_always_hashed() -> None:
    """The others are defaults, which may change: who forgets them pays with a rerun."""

    class Careless(Before):
        schedule: Annotated[Component, Added({"use": "cosine"})] = Component(use="cosine")

    table = Careless()
    found = SpecContent({("schedule",): component(Cosine, {})}).table(table, ())
    assert "schedule" in hashed(found)


def test_a_neutral_component_with_options_it_does_not_have_is_refused() -> None:
    class Wrong(Before):
        schedule: Annotated[Component, Added({"use": "cosine", "nope": 1})] = Component(
            use="cosine"
        )

    with pytest.raises(PluginError, match="nope"):
        SpecContent({("schedule",): component(Cosine, {})}).table(Wrong(), ())


def test_a_neutral_value_that_a_table_does_not_allow_is_refused() -> None:
    class Wrong(Before):
        beta: Annotated[float, Field(ge=0), Added(-1)] = 0.0

    with pytest.raises(PluginError, match=r"beta: its neutral value is not valid"):
        content(Wrong())


def test_what_is_without_effect_is_said_in_the_tables_and_nowhere_else() -> None:
    """A key that nobody thought of is hashed."""

    def without_effect(table: type[Table]) -> set[str]:
        fields = table.model_fields.items()
        return {key for key, field in fields if WithoutEffect() in field.metadata}

    train = {"workers", "emit_every", "parallel", "checkpoint_activations", "checkpoint_every"}
    assert without_effect(TrainTable) == train
    assert without_effect(Spec) == {"schema_version", "extends", "meta", "evaluate", "sweep"}
