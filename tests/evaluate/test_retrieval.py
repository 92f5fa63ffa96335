"""Retrieval: both directions, several captions, duplicates as hits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.evaluated import Broken, Cosine, Gate, Words, encoded, letters, pictures, subject
from torch import nn

from mmlab.errors import DataError, RunError, SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate import ranked as ranking
from mmlab.evaluate.evaluators.retrieval import Retrieval
from mmlab.plugin import Features, Scores
from mmlab.records import EvaluationResult

WORDS = ["crab", "owl", "elk", "ant", "bee", "yak", "fox", "hen", "cow", "pig", "dog"]


def retrieve(
    what: EvaluatedModel, dataset: Words, *, own: bool = False
) -> tuple[EvaluationResult, EvaluationResult]:
    evaluator = Retrieval(repeated_captions="own" if own else "hits")
    first, second = evaluator(what, encoded(what, dataset), "pairs")
    return first, second


def captioned(*samples: tuple[str, object]) -> Words:
    """Samples given as (the word a picture shows, its caption or captions)."""
    rows = [{"image": letters(word), "text": text} for word, text in samples]
    return Words(rows, [()] * len(rows))


class Lopsided(Cosine):
    """Rows ask rightly, columns are told the opposite."""

    def score(self, u: Features, v: Features) -> Scores:
        scores = super().score(u, v).forward
        return Scores(scores, -scores)


def test_matching_pairs_are_found_both_ways() -> None:
    forth, back = retrieve(subject(), pictures(WORDS, WORDS))
    assert (forth.condition, back.condition) == ("image_to_text", "text_to_image")
    for result in (forth, back):
        assert result.metrics == {
            "recall@1": 1.0,
            "recall@5": 1.0,
            "recall@10": 1.0,
            "median_rank": 1.0,
            "mean_recall@1": 1.0,
        }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_stop_the_evaluation(value: float) -> None:
    with pytest.raises(RunError, match="a score is not a finite number"):
        retrieve(subject(Broken(value)), pictures(WORDS, WORDS))


@pytest.mark.parametrize("key", ["image", "text"])
def test_features_that_are_not_finite_stop_the_evaluation(key: str) -> None:
    what = subject()
    found = encoded(what, pictures(WORDS, WORDS))
    found.features[key].pooled[3, 5] = math.inf
    with pytest.raises(RunError, match=rf"encoders\.{key}: a feature is not a finite number"):
        Retrieval()(what, found, "pairs")


def test_each_direction_asks_the_similarity_its_own_question() -> None:
    forth, back = retrieve(subject(Lopsided()), pictures(WORDS, WORDS))
    assert forth.metrics["recall@1"] == 1.0
    assert back.metrics["recall@1"] == 0.0
    assert forth.metrics["mean_recall@1"] == back.metrics["mean_recall@1"] == 0.5
    assert back.samples.rank.tolist() == [11] * 11


def test_a_prefix_is_as_if_every_caption_began_so() -> None:
    plain = captioned(("crab", ("a crab", "zzz")), ("owl", "an owl"), ("elk", ("elks",)))
    begun = captioned(
        ("crab", ("qqq a crab", "qqq zzz")), ("owl", "qqq an owl"), ("elk", ("qqq elks",))
    )
    what = subject()
    given = Retrieval(prefix="qqq ")(what, encoded(what, plain), "pairs")
    for found, expected in zip(given, retrieve(what, begun), strict=True):
        np.testing.assert_array_equal(found.samples.rank, expected.samples.rank)
        assert found.samples.ids == expected.samples.ids
        assert found.protocol != expected.protocol


def test_every_caption_is_a_row_and_any_own_caption_a_hit() -> None:
    dataset = captioned(("crab", ("zzz", "crab")), ("owl", "owl"), ("yak", ("yak", "yaks", "qq")))
    forth, back = retrieve(subject(), dataset)
    assert forth.samples.ids == ["word-0", "word-1", "word-2"]
    assert forth.samples.rank.tolist() == [1, 1, 1]
    assert back.samples.ids == [
        *("word-0#0", "word-0#1"),
        "word-1",
        *("word-2#0", "word-2#1", "word-2#2"),
    ]
    assert back.samples.rank[[1, 2, 3, 4]].tolist() == [1, 1, 1, 1]
    # Captions of one picture were drawn together.
    assert forth.samples.clusters is None
    assert back.samples.clusters == ["word-0"] * 2 + [None] + ["word-2"] * 3
    assert forth.metrics["recall@5"] == 1.0  # 6 captions to find
    assert back.metrics["recall@5"] is None  # 3 pictures to find


def test_recall_equals_a_slow_loop_over_all_pairs() -> None:
    torch.manual_seed(0)
    captions = [tuple(WORDS[j] for j in torch.randint(11, (1 + i % 3,))) for i in range(11)]
    dataset = captioned(*zip(WORDS, captions, strict=True))
    forth, back = retrieve(subject(), dataset)
    texts = [(i, text) for i, own in enumerate(captions) for text in own]
    pictured = torch.nn.functional.normalize(torch.tensor([letters(w) for w in WORDS]), dim=1)
    written = torch.nn.functional.normalize(torch.tensor([letters(t) for _, t in texts]), dim=1)
    scores = (pictured @ written.T).tolist()
    forth_ranks = []
    for i, own in enumerate(captions):
        order = sorted(range(len(texts)), key=lambda j: (-scores[i][j], j))
        forth_ranks.append(1 + min(order.index(j) for j, t in enumerate(texts) if t[1] in own))
    back_ranks = []
    for j, (_, text) in enumerate(texts):
        order = sorted(range(11), key=lambda i: (-scores[i][j], i))
        back_ranks.append(1 + min(order.index(i) for i in range(11) if text in captions[i]))
    assert forth.samples.rank.tolist() == forth_ranks
    assert back.samples.rank.tolist() == back_ranks


def test_samples_that_share_a_caption_answer_for_each_other() -> None:
    # "crab" describes two pictures, the second of which shows an owl.
    dataset = captioned(("crab", "crab"), ("owl", "crab"), ("yak", "owl"))
    forth, back = retrieve(subject(), dataset)
    assert back.samples.rank.tolist() == [1, 1, 3]
    assert forth.samples.rank[0] == 1
    assert not forth.samples.has_tie[0]  # the two captions tie, but both are hits


def test_only_its_own_captions_answer_for_a_sample_where_that_is_asked() -> None:
    dataset = captioned(("crab", "crab"), ("owl", ("crab", "owl")), ("yak", "owl"))
    forth, back = retrieve(subject(), dataset, own=True)
    assert forth.samples.rank.tolist() == [1, 1, 4]
    assert forth.samples.has_tie.tolist() == [True, True, True]  # with the other sample's caption
    assert back.samples.rank.tolist() == [1, 3, 1, 3]
    shared, _ = retrieve(subject(), dataset)
    assert shared.samples.rank.tolist() == [1, 1, 3]
    assert not shared.samples.has_tie[:2].any()
    assert shared.subject["shared_captions"] == forth.subject["shared_captions"] == 2


def test_whose_captions_count_is_part_of_the_protocol_where_some_are_shared() -> None:
    repeated, plain = captioned(("crab", "crab"), ("owl", "crab")), pictures(WORDS, WORDS)
    first, own = retrieve(subject(), repeated), retrieve(subject(), repeated, own=True)
    assert [result.protocol["options"] for result in first] == [{}, {}]
    assert [result.protocol["options"] for result in own] == [{"repeated_captions": "own"}] * 2
    without, alike = retrieve(subject(), plain), retrieve(subject(), plain, own=True)
    assert [result.protocol for result in without] == [result.protocol for result in alike]
    assert without[0].subject["shared_captions"] == 0


def test_ties_with_a_miss_are_marked_and_ordered_by_position() -> None:
    forth, _ = retrieve(subject(), captioned(("crab", "carb"), ("crab", "crab"), ("owl", "owl")))
    assert forth.samples.rank.tolist() == [1, 2, 1]
    assert forth.samples.has_tie.tolist() == [True, True, False]


def test_samples_that_lack_an_input_are_skipped() -> None:
    rows = [
        {"image": letters("crab"), "text": "crab"},
        {"image": letters("owl")},
        {"text": "elk"},
        {"image": letters("yak"), "text": "yak"},
    ]
    for result in retrieve(subject(), Words(rows, [()] * 4)):
        assert result.samples.ids == ["word-0", "word-3"]
        assert result.skipped == 2


def test_ids_are_not_labels_and_scores_no_probabilities() -> None:
    forth, _ = retrieve(subject(), pictures(WORDS, WORDS))
    assert forth.labels == ()
    assert forth.rankings is None
    assert forth.samples.truths == [()] * 11
    assert np.isnan(forth.samples.probability).all()
    assert forth.samples.outcome.tolist() == [1.0] * 11


def test_inputs_without_text_are_paired_by_sample() -> None:
    what = subject(inputs=["image", "audio"])
    rows = [{"image": letters(word), "audio": letters(word)} for word in WORDS]
    dataset = Words(rows, [()] * 11, modalities=("image", "audio"))
    forth, back = retrieve(what, dataset)
    assert (forth.condition, back.condition) == ("image_to_audio", "audio_to_image")
    assert forth.metrics["recall@1"] == back.metrics["recall@1"] == 1.0


def test_encoder_keys_change_no_figure_and_no_protocol() -> None:
    keyed = subject(inputs=("picture", "words"), modalities={"picture": "image", "words": "text"})
    dataset = captioned(("crab", ("zzz", "crab")), ("owl", "crab"), ("yak", "yaks"))
    for other, plain in zip(retrieve(keyed, dataset), retrieve(subject(), dataset), strict=True):
        assert other.condition == plain.condition
        assert other.protocol == plain.protocol
        assert other.metrics == plain.metrics


def test_two_inputs_of_one_modality_keep_their_directions_apart() -> None:
    twins = subject(inputs=("sketch", "photo"), modalities={"sketch": "image", "photo": "image"})
    results = retrieve(twins, pictures(WORDS, WORDS, modalities=("image",)))
    assert [result.condition for result in results] == [
        "image_1_to_image_2",
        "image_2_to_image_1",
    ]
    assert results[0].protocol != results[1].protocol


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = captioned(*((word, (word, word[::-1], "crab")) for word in WORDS))
    whole = retrieve(subject(), dataset)
    monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", 40)
    parts = retrieve(subject(), dataset)
    for one, other in zip(whole, parts, strict=True):
        assert one.metrics == other.metrics
        np.testing.assert_array_equal(one.samples.rank, other.samples.rank)


def test_what_cannot_retrieve_is_refused() -> None:
    with pytest.raises(SpecError, match="reads the similarity of two inputs"):
        retrieve(subject(Gate(), head=nn.Linear(256, 2)), pictures(WORDS, WORDS))
    with pytest.raises(DataError, match="the dataset has no text"):
        retrieve(subject(), pictures(WORDS, WORDS, modalities=("image",)))
    with pytest.raises(DataError, match="2 samples, all without both inputs"):
        retrieve(subject(), Words([{"text": "crab"}, {"image": letters("owl")}], [(), ()]))
