from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from support.report_values import beyond, picture, ranked, record
from support.store_values import claimed

from mmlab.errors import UsageError
from mmlab.report.card_reading import choose_cards, sample_cards
from mmlab.report.cards import Card
from mmlab.report.render.card_text import draw_card
from mmlab.report.render.html import render_card
from mmlab.store import Store


def only_card(store: Store, run: str, sample: str = "sample-0000") -> Card:
    """The only card of a sample."""
    (card,) = sample_cards(store, run, sample)
    return card


def drawn(card: Card) -> str:
    """The card as text, 100 columns wide."""
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(draw_card(card))
    return capture.get()


def test_a_hit_reads_like_the_lectures_picture(store: Store) -> None:
    labels = ("guacamole", *(f"label {index}" for index in range(100)))
    card = only_card(store, record(store, ranked([1], labels, templates=("a photo of {}, food.",))))
    text = drawn(card)
    assert "guacamole (50.0%) Ranked 1 out of 101 labels" in text
    assert "✓ 1 a photo of guacamole, food." in text
    assert text.count("✗") == 4
    assert "50.0% is the probability of the true label" in text


def test_a_truth_behind_imported_first_labels_is_said_to_be_there(store: Store) -> None:
    run = record(store, beyond([6, 1, 6]))
    card = only_card(store, run)
    assert card.placing == "Not among the first 5 of 6 labels"
    assert card.note == "numbers are scores, not probabilities"
    assert "Not among the first 5" in drawn(card)
    chosen = choose_cards(store, run, "zero_shot", count=3)
    assert [one.rank for one in chosen] == [1, None, None]


def test_a_miss_says_which_probability_it_prints(store: Store) -> None:
    card = only_card(store, record(store, ranked([4])))
    assert (card.percent, card.placing) == ("(6.2%)", "Ranked 4 out of 6 labels")
    assert card.note == (
        "6.2% is the probability of the true label; the label ranked first has 50.0%"
    )


def test_a_card_of_a_condition_names_it(store: Store) -> None:
    card = only_card(store, record(store, ranked([1])))
    assert "· selected" in drawn(replace(card, condition="selected"))


def test_a_truth_beyond_the_first_labels_follows_an_ellipsis(store: Store) -> None:
    card = only_card(store, record(store, ranked([6])))
    assert [bar.is_truth for bar in card.bars] == [False] * 5 + [True]
    assert (card.bars[-1].rank, card.bars[-1].labels) == (6, ("cat",))
    assert "…" in drawn(card)
    assert "…" in render_card(card)


def test_any_of_several_true_labels_is_ticked(store: Store) -> None:
    card = only_card(store, record(store, ranked([1], truths=[[0, 2]])))
    assert card.title == "cat, owl"
    assert [bar.labels[0] for bar in card.bars if bar.is_truth] == ["cat", "owl"]
    assert "2 labels are true" in card.note


def test_of_several_truths_beyond_the_first_labels_none_is_singled_out(store: Store) -> None:
    result = ranked([3], truths=[[0, 5]], k=2)
    card = only_card(store, record(store, result))
    assert card.bars[-1].labels == ("cat", "ant")
    assert "cat or ant" in drawn(card)


def test_scores_that_are_no_probabilities_get_no_percent_and_no_bars(store: Store) -> None:
    result = ranked([2])
    assert result.samples is not None
    unknown = np.full(1, np.nan, dtype=np.float32)
    samples = replace(result.samples, probability=unknown, top_probability=unknown)
    card = only_card(store, record(store, replace(result, samples=samples)))
    assert (card.percent, card.note) == ("", "numbers are scores, not probabilities")
    assert "%" not in drawn(card)
    assert 'class="bar"' not in render_card(card)


def test_a_sample_that_no_label_is_true_of_says_so(store: Store) -> None:
    result = ranked([1])
    assert result.samples is not None
    samples = replace(result.samples, truths=[[]], rank=np.zeros(1, dtype=np.int32))
    card = only_card(store, record(store, replace(result, samples=samples)))
    assert (card.title, card.placing) == ("none of the labels", "No true label among 6 labels")
    assert "✓" not in drawn(card)


def test_terminal_controls_in_labels_are_made_visible(store: Store) -> None:
    labels = ("\x1b[31mred\u202e\n", "dog")
    text = drawn(only_card(store, record(store, ranked([1], labels))))
    assert r"\x1b[31mred\u202e\n" in text
    assert "\x1b" not in text


def test_a_missing_picture_leaves_a_blank(store: Store) -> None:
    run = record(store, ranked([1, 1], pictures={"sample-0001": picture("teal")}))
    assert "no picture" in render_card(only_card(store, run))
    assert "data:image/webp;base64," in render_card(only_card(store, run, "sample-0001"))


def test_cards_are_spread_over_ranks_like_the_samples(store: Store) -> None:
    run = record(store, ranked([6] * 25 + [1] * 50 + [3] * 25))
    cards = choose_cards(store, run, "zero_shot", count=8)
    assert [card.rank for card in cards] == [1, 1, 1, 1, 3, 3, 6, 6]
    assert cards == choose_cards(store, run, "zero_shot", count=8)


def test_samples_with_a_picture_are_preferred(store: Store) -> None:
    pictures = {f"sample-{index:04d}": picture("gold") for index in (3, 5)}
    run = record(store, ranked([1] * 9, pictures=pictures))
    cards = choose_cards(store, run, "zero_shot", count=8)
    assert [card.sample for card in cards] == ["sample-0003", "sample-0005"]


def test_an_unknown_sample_is_explained(store: Store) -> None:
    run = record(store, ranked([1, 1]))
    with pytest.raises(UsageError, match="the test split was evaluated") as caught:
        sample_cards(store, run, "nope")
    assert "found: 'nope'\n" in str(caught.value)
    assert "allowed: a sample of test, such as 'sample-0000', 'sample-0001'" in str(caught.value)


def test_a_run_that_ranked_nothing_is_explained(store: Store) -> None:
    run = record(store, replace(ranked([1]), samples=None, rankings=None))
    assert choose_cards(store, run, "zero_shot") == []
    with pytest.raises(UsageError, match="no evaluation of it ranked labels") as caught:
        sample_cards(store, run, "sample-0000")
    assert "found: zero_shot\n" in str(caught.value)
    assert "allowed: an evaluation that ranks labels\n" in str(caught.value)
    record(store, ranked([1]), seed=1)
    with pytest.raises(UsageError, match="that ranks labels: here those by zero_shot"):
        sample_cards(store, run, "sample-0000")
    with pytest.raises(UsageError, match="no such evaluation"):
        sample_cards(store, run, "sample-0000", "zero_short")


def test_a_failed_run_says_so_instead_of_having_no_cards(store: Store) -> None:
    claim = claimed(store, "emoji", 0)
    with pytest.raises(UsageError, match="not done"):
        sample_cards(store, claim.run_id, "sample-0000")
    store.fail(claim, "nan", "the loss is no number\nmore", "Traceback")
    with pytest.raises(UsageError, match="it failed") as caught:
        sample_cards(store, claim.run_id, "sample-0000")
    assert "found: the loss is no number\n" in str(caught.value)
    assert "--log" in str(caught.value)
