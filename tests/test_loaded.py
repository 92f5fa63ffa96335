"""Labels ranked by a loaded model: as zero-shot and classification store them, and as cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from support.lab import DATASET, ENCODERS, PAIRED, RETRIEVAL, SCRIPTED, TOY, TRAIN, ZERO_SHOT, Lab
from support.toys import LABELS, Clusters

import mmlab
from mmlab.errors import MmlabError, UsageError, WeightsError
from mmlab.evaluate import given

Row = tuple[int, str, float]


def stored(lab: Lab, name: str) -> dict[str, list[Row]]:
    """Rank, label and probability of the first labels that the run's evaluation stored."""
    with mmlab.results(lab.db) as results:
        found = results.rankings(name).sort("sample", "rank")
    rows: dict[str, list[Row]] = {}
    for row in found.iter_rows(named=True):
        rows.setdefault(row["sample"], []).append((row["rank"], row["label"], row["score"]))
    return rows


def values(modality: str, dataset: Clusters | None = None) -> list[object]:
    """What the test split's samples have of a modality."""
    found = dataset or Clusters("test")
    return [found[index].values[modality] for index in range(len(found))]


def cards_as_rows(cards: Sequence[object]) -> list[list[Row]]:
    return [
        [(bar.rank, bar.labels[0], bar.score) for bar in card.bars if not bar.is_beyond]  # type: ignore[attr-defined]
        for card in cards
    ]


@pytest.fixture
def paired(sqlite_lab: Lab) -> Lab:
    """A run whose evaluation has ranked the labels of the clusters with their two templates."""
    sqlite_lab.run_one(sqlite_lab.write("pairs", PAIRED))
    return sqlite_lab


def test_a_split_is_ranked_bit_for_bit_as_zero_shot_stored_it(paired: Lab) -> None:
    model, known = mmlab.load("pairs", paired.db), stored(paired, "pairs")
    assert model.templates == ("a {}", "{}")
    cards = model.rank(values("image"), LABELS)
    assert len(cards) == len(known) == 24
    assert cards_as_rows(cards) == [known[Clusters("test")[i].id] for i in range(24)]


def test_one_sample_is_ranked_as_in_its_batch(paired: Lab) -> None:
    model, known = mmlab.load("pairs", paired.db), stored(paired, "pairs")
    for index in (0, 7, 23):
        (card,) = model.rank([values("image")[index]], LABELS)
        rows = known[Clusters("test")[index].id]
        assert [bar.labels[0] for bar in card.bars] == [label for _, label, _ in rows]
        scores = [bar.score for bar in card.bars]
        assert scores == pytest.approx([score for _, _, score in rows], rel=1e-5)


def test_blocks_of_samples_change_nothing(paired: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mmlab.load("pairs", paired.db)
    whole = model.rank(values("image"), LABELS)
    monkeypatch.setattr(given, "BLOCK_SAMPLES", 8)
    assert cards_as_rows(model.rank(values("image"), LABELS)) == cards_as_rows(whole)


def test_with_truths_a_card_is_the_one_that_the_run_shows(paired: Lab) -> None:
    dataset = Clusters("test")
    truths = [LABELS[dataset[index].labels[0]] for index in range(24)]
    model = mmlab.load("pairs", paired.db)
    cards = model.rank(values("image"), LABELS, truths=truths, top=2)
    with mmlab.results(paired.db) as results:
        own = [results.card("pairs", dataset[index].id)[0] for index in range(24)]
    told = ("rank", "truths", "probability", "top_probability", "has_tie", "title", "placing")
    for card, other in zip(cards, own, strict=True):
        assert [getattr(card, name) for name in told] == [getattr(other, name) for name in told]
        assert card.bars[:2] == other.bars[:2]
    assert any(card.bars[-1].is_beyond for card in cards)


def test_without_a_truth_a_card_names_the_first_label_and_ticks_none(paired: Lab) -> None:
    (card,) = mmlab.load("pairs", paired.db).rank([values("image")[0]], LABELS)
    assert (card.title, card.rank, card.truths) == (card.bars[0].labels[0], None, ())
    assert card.percent == f"({card.bars[0].score:.1%})"
    assert card.placing == "Ranked first of 4 labels"
    text = str(card)
    assert "✓" not in text
    assert "✗" not in text
    assert f"a {card.title}" in text
    assert "which label is true was not said" in text
    assert 'class="open"' in card._repr_html_()


def test_nothing_is_stored(paired: Lab) -> None:
    before = paired.dump()
    mmlab.load("pairs", paired.db).rank(values("image"), LABELS)
    assert paired.dump() == before


def test_other_templates_ask_otherwise(paired: Lab) -> None:
    model = mmlab.load("pairs", paired.db)
    (own,) = model.rank([values("image")[0]], LABELS)
    (other,) = model.rank([values("image")[0]], LABELS, templates=["{}"])
    assert own.bars[0].before == "a "
    assert other.bars[0].before == ""
    assert [bar.score for bar in own.bars] != [bar.score for bar in other.bars]


def test_texts_are_ranked_by_an_evaluation_that_asks_for_them(sqlite_lab: Lab) -> None:
    words = ENCODERS.replace("image", "word").replace(
        '[encoders.word]\nuse = "toy"', '[encoders.word]\nuse = "toy"\nmodality = "text"'
    )
    tables = (DATASET, words, *PAIRED[2:5], ZERO_SHOT + 'prompts = "text"\n')
    sqlite_lab.run_one(sqlite_lab.write("texts", tables))
    cards = mmlab.load("texts", sqlite_lab.db).rank(values("text"), LABELS)
    known = stored(sqlite_lab, "texts")
    assert cards_as_rows(cards) == [known[Clusters("test")[i].id] for i in range(24)]
    assert cards[0].sample == values("text")[0]


def test_a_head_ranks_its_own_labels_for_several_inputs(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("toy", TOY))
    model = mmlab.load("toy", sqlite_lab.db)
    inputs = {"image": values("image"), "text": values("text")}
    known = stored(sqlite_lab, "toy")
    assert cards_as_rows(model.rank(inputs)) == [known[Clusters("test")[i].id] for i in range(24)]
    alone = model.rank(values("image")[:1])  # the text counts as missing
    assert alone[0].label_count == 4


def test_a_head_of_several_labels_gives_each_its_own_probability(sqlite_lab: Lab) -> None:
    several = DATASET + "multi = true\n"
    sqlite_lab.run_one(sqlite_lab.write("several", (several, *TOY[1:])))
    dataset = Clusters("test", multi=True)
    inputs = {"image": values("image", dataset)}
    (card,) = mmlab.load("several", sqlite_lab.db).rank({"image": inputs["image"][:1]})
    assert sum(bar.score or 0 for bar in card.bars) != pytest.approx(1)


def test_ten_thousand_labels_give_the_first_few(paired: Lab) -> None:
    labels = [f"thing {number}" for number in range(10_000)]
    (card,) = mmlab.load("pairs", paired.db).rank([values("image")[0]], labels, top=3)
    assert (len(card.bars), card.label_count) == (3, 10_000)


#: Labels, options, and what is said of them.
UNASKABLE: Sequence[tuple[list[str] | None, Mapping[str, object], str]] = (
    (["a", ""], {}, "label 2 is empty"),
    (["a", "b", "a"], {}, "more than once"),
    ([], {}, "there is no label"),
    (["a"], {}, "of one label nothing can be said"),
    (["a", "b\0"], {}, "NUL"),
    (["a", "b"], {"templates": ["a photo"]}, "exactly one {}"),
    (["a", "b"], {"templates": ["{} and {}"]}, "exactly one {}"),
    (["a", "b"], {"truths": ["c"]}, "none of the labels"),
    (["a", "b"], {"truths": ["a", "b"]}, "each sample needs one of each"),
    (["a", "b"], {"prompts": "sound"}, "no such input"),
    (None, {}, "labels are needed"),
)
#: Inputs, and what is said of them.
UNFIT: Sequence[tuple[Mapping[str, list[object]], str]] = (
    ({}, "nothing to rank labels for"),
    ({"image": []}, "nothing to rank labels for"),
    ({"sound": [[1.0]]}, "no such input"),
    ({"text": ["red"]}, "compares labels with its input 'image'"),
    ({"image": [[1.0] * 4], "text": ["red"]}, "labels take the place"),
    ({"image": [[1.0] * 4] * 2, "text": ["red"]}, "each sample needs one of each"),
)


def test_what_cannot_be_asked_is_told(paired: Lab) -> None:
    model = mmlab.load("pairs", paired.db)
    for labels, options, says in UNASKABLE:
        with pytest.raises(MmlabError, match=says) as raised:
            model.rank([values("image")[0]], labels, **options)  # type: ignore[arg-type]
        assert all(part in str(raised.value) for part in ("found: ", "allowed: ", "next: "))


def test_inputs_that_do_not_fit_are_told(paired: Lab) -> None:
    model = mmlab.load("pairs", paired.db)
    for inputs, says in UNFIT:
        with pytest.raises(UsageError, match=says):
            model.rank(inputs, ["a", "b"])


def test_a_model_with_a_head_alone_does_not_rank_labels_of_ones_own(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(
        sqlite_lab.write("toy", (DATASET, ENCODERS, *TOY[2:3], SCRIPTED, TRAIN, TOY[5]), ""),
        'fusion.inputs=["image"]',
    )
    model = mmlab.load("toy", sqlite_lab.db)
    with pytest.raises(UsageError, match="its head then ranks those"):
        model.rank([values("image")[0]], ["a", "b"])


def test_a_model_without_a_temperature_needs_a_scale(paired: Lab) -> None:
    weights = 'use = "toy"\nweights = { run = "pairs" }'
    tables = (
        DATASET,
        ENCODERS.replace('use = "toy"', weights),
        '[fusion]\nuse = "inner_product"\n',
    )
    paired.run_one(paired.write("cold", (*tables, RETRIEVAL)))
    model = mmlab.load("cold", paired.db)
    with pytest.raises(UsageError, match="set --scale"):
        model.rank([values("image")[0]], LABELS)
    mild, sharp = (model.rank([values("image")[0]], LABELS, scale=x)[0] for x in (1.0, 100.0))
    assert (mild.bars[0].score or 0) < (sharp.bars[0].score or 0)
    assert [bar.labels for bar in mild.bars] == [bar.labels for bar in sharp.bars]


def test_a_run_whose_weights_are_gone_is_told(paired: Lab) -> None:
    for path in paired.runs.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(WeightsError):
        mmlab.load("pairs", paired.db)


def test_labels_that_read_alike_are_told_at_the_labels(paired: Lab) -> None:
    model, told = mmlab.load("pairs", paired.db), list[str]()
    model.rank([values("image")[0]], ["ab", "ba", "c"], note=told.append)
    assert told[0].startswith("labels: prompts of 2 of 3 labels encode alike")
    with pytest.raises(MmlabError, match="labels: prompts of all labels encode alike"):
        model.rank([values("image")[0]], ["ab", "ba"])
