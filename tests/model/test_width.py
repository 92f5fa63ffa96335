"""Fusions of equal size: which width is chosen, where it is kept, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.lab import PAIRED, TOY, Lab, install
from support.specs import SPEC, refuse, write
from support.widths import Plain

import mmlab
from mmlab.data.splits import Splits
from mmlab.errors import PluginError, SpecError
from mmlab.model.width import LARGEST_WIDTH, WidthMatcher, nearest_width
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.records import Match
from mmlab.runner.identity import hash_cell

MATCH = '[sweep]\nmatch = "parameters"\nbudget = %d\n\n[sweep.axes]\nfusion = [%s]\n'


@pytest.mark.parametrize(
    ("budget", "width"), [(1, 1), (14, 1), (15, 1), (16, 2), (1000, 100), (10**9, LARGEST_WIDTH)]
)
def test_the_width_next_to_the_budget_is_found(budget: int, width: int) -> None:
    """Ten parameters for each unit of width; of two at equal distance the smaller one."""
    assert nearest_width(lambda width: 10 * width, budget) == width


@pytest.mark.parametrize("multiple", [3, 4, 12, 50])
def test_widths_that_are_refused_are_passed_over(multiple: int) -> None:
    for budget in (1, 100, 5_000, 123_456):
        found = nearest_width(lambda width: None if width % multiple else width, budget)
        assert found == multiple * max(1, -(-(2 * budget - multiple) // (2 * multiple)))


def test_a_limit_of_the_operator_is_respected() -> None:
    assert nearest_width(lambda width: width if width <= 700 else None, 10_000) == 700
    assert nearest_width(lambda width: None, 10_000) is None


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_the_search_finds_what_trying_every_width_finds(exponent: int) -> None:
    def count(width: int) -> int | None:
        return None if width % 2 else 7 + 3 * width**exponent

    for budget in range(1, 2_000, 37):
        widths = [width for width in range(2, 2_000, 2)]
        best = min(widths, key=lambda width: abs((count(width) or 0) - budget))
        assert nearest_width(count, budget) == best


def matched(lab: Lab, budget: int, members: str, tables: Sequence[str] = TOY) -> list[Plan]:
    plans = plan_specs([lab.write("toy", [*tables, MATCH % (budget, members)])], [])
    matcher = WidthMatcher(Splits())
    return [matcher.match(plan) for plan in plans]


EIGHT = (
    '{ use = "concat" }, { use = "concat", inputs = ["image"] }, { use = "gating" }, '
    '{ use = "inner_product" }, { use = "bilinear" }, { use = "compact_bilinear" }, '
    '{ use = "late_fusion" }, { use = "modulation" }'
)


def test_every_operator_comes_as_near_as_its_width_allows(sqlite_lab: Lab) -> None:
    """Widths of 8 and 8 and a linear head on 4 labels: parameters by hand."""
    plans = matched(sqlite_lab, 2000, EIGHT)
    found = {(p.fusion.entry.name, len(p.inputs)): p.match for p in plans}
    by_hand = {
        ("concat", 2): ("dim", 100, 20 * 100 + 4),
        ("concat", 1): ("dim", 166, 12 * 166 + 4),
        ("gating", 2): ("dim", 100, 20 * 100 + 4),
        ("inner_product", 2): ("dim", 124, 16 * 124 + 4 + 4),
        ("bilinear", 2): ("dim", 29, 68 * 29 + 4),
        ("compact_bilinear", 2): ("dim", 499, 4 * 499 + 4),
        ("late_fusion", 2): ("hidden", 76, 26 * 76 + 8 + 20),
        ("modulation", 2): (None, None, 17 + 16 * 4 + 4),
    }
    for key, (option, value, parameters) in by_hand.items():
        match = found[key]
        assert match is not None
        assert (match.option, match.value, match.parameters) == (option, value, parameters)
        assert match.budget == 2000


def test_the_counted_parameters_are_those_of_the_model(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", [*TOY, MATCH % (900, '{ use = "gating" }, { use = "sum" }')])
    outcomes = sqlite_lab.run(spec, "train.epochs=1")
    assert [outcome.error for outcome in outcomes] == [None, None]
    for detail in [sqlite_lab.detail(outcome.run_id or "") for outcome in outcomes]:
        match, parts = detail.summary["match"], detail.summary["parameters_by_part"]
        assert match == {"budget": 900, "parameters": 904, "option": "dim", "value": 45}
        assert parts["fusion"] + parts["head"] == match["parameters"]  # type: ignore[index]
        assert detail.resolved["fusion"]["dim"] == 45  # type: ignore[index]
        assert detail.summary["flops_per_sample"]["fusion"] == 2 * 2 * 8 * 45  # type: ignore[index]
    note = "fusion.dim = 45: 904 of 900 parameters (+0.44 %)"
    assert sqlite_lab.shown.notes == [note, note]
    model = mmlab.load("toy", sqlite_lab.db).model
    assert model.fusion.dim == 45


def test_the_scorer_of_pairs_counts_as_a_head(sqlite_lab: Lab) -> None:
    (plan,) = matched(sqlite_lab, 1700, '{ use = "gating" }', PAIRED)
    assert plan.match is not None
    assert (plan.match.value, plan.match.parameters) == (100, (16 + 1) * 100)


def test_width_and_budget_are_in_the_hash(sqlite_lab: Lab) -> None:
    hashes = set()
    for budget in (900, 901, 2000):
        (plan,) = matched(sqlite_lab, budget, '{ use = "gating" }')
        hashes.add(hash_cell(plan, {}, {}).train)
    assert len(hashes) == 3


def test_what_was_matched_is_done_the_second_time(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", [*TOY, MATCH % (900, '{ use = "gating" }')])
    assert sqlite_lab.statuses(spec) == ["done"]
    assert sqlite_lab.statuses(spec) == ["skipped"]


def test_encoders_are_made_once_for_all_cells(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr("support.toys.Toy.__init__", _noting(made))
    matched(sqlite_lab, 900, '{ use = "gating" }, { use = "concat" }, { use = "sum" }')
    assert len(made) == 2


def _noting(made: list[str]):  # type: ignore[no-untyped-def]
    from support.toys import Toy

    make = Toy.__init__

    def init(self: Toy, modality: str, *, dim: int = 8) -> None:
        made.append(modality)
        make(self, modality, dim=dim)

    return init


@pytest.mark.parametrize(
    ("match", "line"),
    [
        (Match(2000, 85, None, None), "no width to set: 85 of 2,000 parameters (-95.75 %)"),
        (Match(2000, 2000, "rank", 9), "fusion.rank = 9: 2,000 of 2,000 parameters (+0.00 %)"),
    ],
)
def test_what_was_matched_is_said_in_a_line(match: Match, line: str) -> None:
    assert str(match) == line


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path / "site", "widths")


@pytest.mark.usefixtures("widths")
def test_a_strangers_fusion_needs_no_declaration_and_allocates_nothing(sqlite_lab: Lab) -> None:
    Plain.devices.clear()
    (plan,) = matched(sqlite_lab, 2_000_000, '{ use = "plain" }')
    assert plan.match is not None
    assert (plan.match.option, plan.match.value) == ("dim", 100_000)
    assert set(Plain.devices) == {"meta"}


@pytest.mark.usefixtures("widths")
def test_the_bounds_of_an_option_hold(sqlite_lab: Lab) -> None:
    (plan,) = matched(sqlite_lab, 2000, '{ use = "narrow" }')
    assert plan.match is not None
    assert (plan.match.option, plan.match.value) == ("columns", 10)


@pytest.mark.usefixtures("widths")
def test_what_reads_values_while_it_is_made_cannot_be_counted(sqlite_lab: Lab) -> None:
    with pytest.raises(PluginError, match="cannot be made on torch's meta device"):
        matched(sqlite_lab, 2000, '{ use = "curious" }')


@pytest.mark.usefixtures("widths")
def test_an_operator_that_refuses_every_width_says_why(sqlite_lab: Lab) -> None:
    with pytest.raises(SpecError, match="no width is good enough"):
        matched(sqlite_lab, 2000, '{ use = "picky" }')


def test_a_width_set_beside_a_budget_is_refused_where_it_is_written(sqlite_lab: Lab) -> None:
    with pytest.raises(SpecError, match=r"sweep\.match sets this") as caught:
        matched(sqlite_lab, 900, '{ use = "gating", dim = 4 }')
    assert "fusion.dim" in str(caught.value)
    matched(sqlite_lab, 900, '{ use = "low_rank_bilinear", rank = 4 }')


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('match = "parameters"', "matching needs a budget"),
        ("budget = 10", "only matching has a budget"),
        ('match = "parameters"\nbudget = 0', "sweep.budget"),
        ('match = "flops"\nbudget = 10', "sweep.match"),
    ],
)
def test_faults_of_matching_are_named(tmp_path: Path, line: str, words: str) -> None:
    assert words in refuse(write(tmp_path, f"{SPEC}\n[sweep]\n{line}\n"))
