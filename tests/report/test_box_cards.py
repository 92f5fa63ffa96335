"""Cards of detections: what was found in a picture and what is there, in every form."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from click.testing import CliRunner
from support.store_values import claimed, evaluation, finish

from mmlab.cli import main
from mmlab.report.box_cards import BoxCard, box_cards, choose_box_cards
from mmlab.report.page import gather
from mmlab.report.render.html import render_page
from mmlab.store import Store


@pytest.fixture
def run(store: Store) -> str:
    """A run with the boxes of `support.store_values.boxes`."""
    held = claimed(store)
    finish(store, held)
    return held.run_id


def card(store: Store, run: str, sample: str) -> BoxCard:
    (found,) = box_cards(store, run, sample)
    return found


def test_a_card_says_what_was_found_and_what_was_missed(store: Store, run: str) -> None:
    found = card(store, run, "a")
    assert found.title == "1 of 2 boxes found"
    assert [(box.rank, box.mark, box.truth) for box in found.found] == [(1, "✗", None), (2, "✓", 1)]
    assert [(box.number, box.mark, box.found_by) for box in found.truths] == [
        (0, "✗", None),
        (1, "✓", 2),
    ]
    assert found.truths[1].box == (0.0, 0.0, 30.0, 40.0)
    assert (found.width, found.height, found.is_drawable) == (640, 480, True)


def test_what_need_not_be_found_is_neither_right_nor_wrong(store: Store, run: str) -> None:
    found = card(store, run, "b 🦜")
    assert found.title == "0 of 0 boxes found"
    assert [box.mark for box in found.found] == ["○"]
    assert [(box.needed, box.found_by) for box in found.truths] == [(False, 1)]
    assert not found.is_drawable


def test_a_picture_in_which_nothing_is_known_has_no_card(store: Store, run: str) -> None:
    assert box_cards(store, run, "c") == []
    assert box_cards(store, run, "a", "other") == []
    assert choose_box_cards(store, run, "other") == []


def test_cards_are_chosen_among_pictures_that_are_kept(store: Store, run: str) -> None:
    assert [one.sample for one in choose_box_cards(store, run, "zero_shot")] == ["a"]


def test_the_report_draws_boxes_on_the_picture(store: Store, run: str) -> None:
    page = render_page(gather(store))
    (drawn,) = re.findall(r'<svg class="drawn".*?</svg>', page, re.DOTALL)
    assert 'viewBox="0 0 640 480"' in drawn
    boxes = re.findall(
        r'<rect class="(\w[\w ]*)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', drawn
    )
    assert [box for box in boxes if box[0] != "edge"] == [
        ("truth", "50.0", "50.0", "10.0"),
        ("truth", "0.0", "0.0", "30.0"),
        ("wrong", "0.0", "0.0", "10.0"),
        ("right", str(1 / 3), "2.0", str(30 - 1 / 3)),
    ]


def test_a_picture_of_unknown_size_is_shown_without_boxes(store: Store) -> None:
    held = claimed(store)
    finish(store, held, dataclasses.replace(evaluation(), picture_sizes={}))
    assert "how large the picture is was not stored" in card(store, held.run_id, "a").note
    assert 'class="drawn"' not in render_page(gather(store))


def test_mmlab_show_lists_the_boxes(store: Store, run: str, database_url: str) -> None:
    arguments = ["show", run[:12], "--sample", "a", "--db", database_url]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "1 of 2 boxes found" in shown.output
    assert re.search(r"✓ .* 0, 0, 30, 40 +box 2", shown.output)
    assert re.search(r"✗ +1 .* 0, 0, 10, 10 +0\.9", shown.output)
    given = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    (boxes,) = given["boxes"]
    assert [box["truth"] for box in boxes["found"]] == [None, 1]
    assert boxes["found"][1]["box"] == [1 / 3, 2.0, 30.0, 40.5]
