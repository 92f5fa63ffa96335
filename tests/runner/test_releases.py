"""A database of before meets new releases of a plugin: what is done stays done, or runs again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.lab import CONCAT, DATASET, TOY, Lab
from support.versions import Release, forget

from mmlab.errors import PluginError

FIRST = Release()
FLOOR = ', floor: Annotated[float, Field(description="floor"), Added({neutral})] = {default}'

Install = Callable[[Release], None]


@pytest.fixture
def install(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a release of the plugin in place of the one before."""
    site = sqlite_lab.folder / "site"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # releases follow within a second
    monkeypatch.syspath_prepend(str(site))
    yield lambda release: release.install(site)
    forget()


def write(lab: Lab, name: str = "acme", options: str = "", more: str = "") -> Path:
    """A spec whose image encoder and loss are the plugin's."""
    encoders = f'[encoders.image]\nuse = "acme_encoder"\n{options}\n[encoders.text]\nuse = "toy"\n'
    loss = '[[losses]]\nuse = "acme_loss"\n'
    return lab.write(name, (DATASET, encoders, CONCAT, loss, *TOY[4:]), more)


def added(neutral: float = 0.0, default: float = 0.0) -> str:
    return FLOOR.format(neutral=neutral, default=default)


def told(lab: Lab) -> list[str]:
    """What was said of stored runs of equal hash that differ."""
    return [note for note in lab.shown.notes if "runs as new" in note]


def test_options_and_components_that_are_added_change_nothing(
    sqlite_lab: Lab, install: Install
) -> None:
    install(FIRST)
    spec = write(sqlite_lab)
    assert sqlite_lab.statuses(spec) == ["done"]
    install(replace(FIRST, version="1.1", encoder_options=added(), loss_options=added()))
    assert sqlite_lab.statuses(spec) == ["skipped"]
    install(replace(FIRST, version="1.2", encoders=("Encoder", "Another")))
    assert sqlite_lab.statuses(spec) == ["skipped"]
    assert told(sqlite_lab) == []


def test_an_added_option_that_is_set_is_another_run(sqlite_lab: Lab, install: Install) -> None:
    install(replace(FIRST, encoder_options=added()))
    assert sqlite_lab.statuses(write(sqlite_lab)) == ["done"]
    assert sqlite_lab.statuses(write(sqlite_lab, options="floor = 0\n")) == ["skipped"]
    assert sqlite_lab.statuses(write(sqlite_lab, options="floor = 0.5\n")) == ["done"]


def test_who_forgets_the_mark_pays_with_a_rerun(sqlite_lab: Lab, install: Install) -> None:
    install(FIRST)
    spec = write(sqlite_lab)
    assert sqlite_lab.statuses(spec) == ["done"]
    install(replace(FIRST, loss_options=", floor: float = 0.0"))
    assert sqlite_lab.statuses(spec) == ["done"]


def test_a_changed_default_runs_again_what_leaves_it_out(sqlite_lab: Lab, install: Install) -> None:
    install(FIRST)
    left_out, by_hand = write(sqlite_lab, "out"), write(sqlite_lab, "hand", "dim = 8\n")
    assert sqlite_lab.statuses([left_out, by_hand]) == ["done", "done"]
    install(replace(FIRST, version="1.1", dim=6))
    assert sqlite_lab.statuses([left_out, by_hand]) == ["done", "skipped"]
    assert sqlite_lab.detail("out").resolved["encoders"]["image"]["dim"] == 6  # type: ignore[index]


def test_a_changed_default_of_an_added_option_runs_again(sqlite_lab: Lab, install: Install) -> None:
    install(FIRST)
    spec, by_hand = write(sqlite_lab, "out"), write(sqlite_lab, "hand", "floor = 0.0\n")
    assert sqlite_lab.statuses(spec) == ["done"]
    install(replace(FIRST, encoder_options=added()))
    assert sqlite_lab.statuses([spec, by_hand]) == ["skipped", "done"]
    install(replace(FIRST, encoder_options=added(default=0.5)))
    assert sqlite_lab.statuses([spec, by_hand]) == ["done", "skipped"]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [(1, 1, "skipped"), (1, 2, "done"), (None, None, "done"), (None, 1, "done")],
)
def test_a_component_is_identified_by_its_numerics_else_by_its_version(
    sqlite_lab: Lab, install: Install, before: int | None, after: int | None, status: str
) -> None:
    install(replace(FIRST, numerics=before))
    spec = write(sqlite_lab)
    assert sqlite_lab.statuses(spec) == ["done"]
    install(replace(FIRST, version="1.1", numerics=after))
    assert sqlite_lab.statuses(spec) == [status]


def test_numerics_that_are_no_number_are_a_fault_of_the_plugin(
    sqlite_lab: Lab, install: Install
) -> None:
    install(replace(FIRST, numerics=0))
    with pytest.raises(PluginError, match="`numerics` must be a positive integer") as caught:
        sqlite_lab.run(write(sqlite_lab))
    assert "acme.toml:8:7: encoders.image.use" in str(caught.value)


def test_a_neutral_value_that_moves_is_told_and_runs_again(
    sqlite_lab: Lab, install: Install
) -> None:
    """The hash is the same as before: what is stored says that it stood for something else."""
    install(FIRST)
    spec = write(sqlite_lab)
    seeds = write(sqlite_lab, "seeds", more="[sweep]\nseeds = [0, 1]\n")
    assert sqlite_lab.statuses([spec, seeds]) == ["done"] * 3
    install(replace(FIRST, encoder_options=added()))
    assert sqlite_lab.statuses(spec) == ["skipped"]  # and 0.0 is known to be neutral from now on
    install(replace(FIRST, encoder_options=added(0.5, 0.5)))
    assert sqlite_lab.statuses(spec) == ["done"]
    (note,) = told(sqlite_lab)
    assert note.startswith("acme: ")
    assert "encoders.image.floor was 0.0 and is 0.5" in note
    assert sqlite_lab.statuses(spec) == ["skipped"]
    assert told(sqlite_lab) == [note]
    runs = sqlite_lab.dump()["runs"]
    assert len({row[6] for row in runs if row[2] == "acme"}) == 2, "train hashes of two runs"


def test_seeds_of_two_meanings_are_not_in_one_group(sqlite_lab: Lab, install: Install) -> None:
    install(replace(FIRST, encoder_options=added()))
    spec = write(sqlite_lab, more="[sweep]\nseeds = [0]\n")
    assert sqlite_lab.statuses(spec) == ["done"]
    install(replace(FIRST, encoder_options=added(0.5, 0.5)))
    spec = write(sqlite_lab, more="[sweep]\nseeds = [0, 1]\n")
    assert sqlite_lab.statuses(spec) == ["done", "done"]
    with sqlite_lab.store() as store:
        groups = [run.group_hash for run in store.runs()]
    assert len(groups) == 3
    assert len(set(groups)) == 2
