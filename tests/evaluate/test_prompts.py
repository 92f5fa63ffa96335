"""Prompts: from templates or a file, averaged in three ways, encoded once, cut where exact."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.evaluated import (
    Called,
    Cosine,
    Gate,
    Letters,
    Words,
    encoded,
    letters,
    pictures,
    subject,
)
from torch import Tensor, nn

from mmlab.errors import DataError, SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate import rank_labels as ranking_of_labels
from mmlab.evaluate.evaluators.zero_shot import ZeroShot, alike
from mmlab.evaluate.label_features import weights_sha256
from mmlab.evaluate.prompts import Prompts, read_prompts
from mmlab.evaluate.subject import Remembered, without_padding
from mmlab.plugin import Calibration, Features, Vocabulary
from mmlab.records import EvaluationResult

LABELS = ("crab", "owl", "elk", "ant", "bee", "yak")
TEMPLATES = ("a photo of many {}s!", "{}", "the art of {}")
SIGMOID = Calibration(10.0, -6.0, "sigmoid")


def ask(what: EvaluatedModel, dataset: Words, **options: object) -> EvaluationResult:
    (result,) = ZeroShot(**options)(what, encoded(what, dataset), "labels")  # type: ignore[arg-type]
    return result


def dataset() -> Words:
    shown = ["crabs", "a yak", "elk!", "bees", "want"]
    rows = [{"image": letters(word)} for word in shown]
    targets = [(0,), (5,), (2,), (4,), (3,)]
    return Words(rows, targets, labels=LABELS, templates=TEMPLATES)


def cosines(prompts: list[str]) -> Tensor:
    """Of every picture with every prompt."""
    shown = torch.tensor([row["image"] for row in dataset().rows])
    written = torch.tensor([letters(prompt) for prompt in prompts])
    return F.normalize(shown, dim=1) @ F.normalize(written, dim=1).T


def slow(by_label: list[list[str]], combine: str, calibration: Calibration) -> Tensor:
    """Probabilities of the labels, one label and one prompt at a time."""
    scale, bias = calibration.scale, calibration.bias
    if combine == "scores":
        scores = torch.stack([cosines(own).mean(1) for own in by_label], 1)
    else:
        each = [cosines(list(prompts)) for prompts in zip(*by_label, strict=True)]
        if calibration.kind == "sigmoid":
            return torch.stack([torch.sigmoid(scale * s + bias) for s in each]).mean(0)
        return torch.stack([torch.softmax(scale * s, 1) for s in each]).mean(0)
    if calibration.kind == "sigmoid":
        return torch.sigmoid(scale * scores + bias)
    return torch.softmax(scale * scores, 1)


@pytest.mark.parametrize("calibration", [Calibration(10.0), SIGMOID], ids=["softmax", "sigmoid"])
@pytest.mark.parametrize("combine", ["scores", "probabilities"])
def test_prompts_are_combined_as_a_slow_loop_does(combine: str, calibration: Calibration) -> None:
    result = ask(subject(calibration=calibration), dataset(), combine=combine, k=6)
    by_label = [[t.replace("{}", label) for t in TEMPLATES] for label in LABELS]
    expected = slow(by_label, combine, calibration).sort(dim=1, descending=True, stable=True)
    np.testing.assert_array_equal(result.rankings.label, expected.indices)
    np.testing.assert_allclose(result.rankings.score, expected.values, rtol=1e-4)
    assert result.subject["combine"] == combine


def test_one_prompt_a_label_is_the_same_however_it_is_combined() -> None:
    found = [
        ask(subject(), dataset(), templates=["{}"], combine=combine, k=6)
        for combine in ("features", "scores", "probabilities")
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.rankings.label, found[0].rankings.label)
        np.testing.assert_allclose(other.rankings.score, found[0].rankings.score, rtol=1e-4)
    assert len({json.dumps(result.protocol) for result in found}) == 1


def test_a_mean_of_features_is_refused_where_it_means_nothing() -> None:
    gate = subject(Gate(), scorer=nn.Linear(256, 1, bias=False))
    with pytest.raises(SpecError, match="no sense to an average of features"):
        ask(gate, dataset(), combine="features")
    assert ask(gate, dataset(), combine="scores").subject["combine"] == "scores"


UNEVEN = {
    "yak": ["a yak"],
    "crab": ["crabs", "a crab!", "sea"],
    "owl": ["owl"],
    "elk": ["an elk", "elks"],
    "ant": ["ant"],
    "bee": ["bee", "bzzz", "honey", "hive"],
}


def write(folder: Path, table: object, suffix: str = "json") -> Path:
    path = folder / f"prompts.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(table))
    else:
        assert isinstance(table, dict)
        path.write_text("\n".join(f'"{key}" = {json.dumps(v)}' for key, v in table.items()))
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_byte_order_mark_and_line_ends_change_no_prompt(
    tmp_path: Path, suffix: str, ending: str
) -> None:
    path = write(tmp_path, UNEVEN, suffix)
    plain = read_prompts(path, LABELS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_text().replace("\n", ending).encode())
    assert read_prompts(path, LABELS) == plain


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_another_encoding_of_prompts_is_named(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, UNEVEN, suffix)
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(DataError, match="it is UTF-16"):
        read_prompts(path, LABELS)


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_file_gives_each_label_its_own_prompts(tmp_path: Path, suffix: str) -> None:
    result = ask(subject(), dataset(), prompts_file=write(tmp_path, UNEVEN, suffix), k=6)
    columns = []
    for label in LABELS:
        mean = F.normalize(torch.tensor([letters(p) for p in UNEVEN[label]]), dim=1).mean(0)
        shown = F.normalize(torch.tensor([row["image"] for row in dataset().rows]), dim=1)
        columns.append(shown @ F.normalize(mean, dim=0))
    scores = torch.stack(columns, 1)
    expected = torch.softmax(10 * scores, 1).sort(dim=1, descending=True, stable=True)
    np.testing.assert_array_equal(result.rankings.label, expected.indices)
    np.testing.assert_allclose(result.rankings.score, expected.values, rtol=1e-5)
    assert result.templates == ()


def test_scores_of_uneven_prompts_are_averaged_label_by_label(tmp_path: Path) -> None:
    result = ask(subject(), dataset(), prompts_file=write(tmp_path, UNEVEN), combine="scores", k=6)
    expected = slow([UNEVEN[label] for label in LABELS], "scores", Calibration(10.0))
    expected = expected.sort(dim=1, descending=True, stable=True).values
    np.testing.assert_allclose(result.rankings.score, expected, rtol=1e-4)
    with pytest.raises(SpecError, match="different numbers of prompts"):
        ask(subject(), dataset(), prompts_file=tmp_path / "prompts.json", combine="probabilities")


def test_the_content_of_the_file_is_in_the_protocol_and_its_place_is_not(tmp_path: Path) -> None:
    first = ask(subject(), dataset(), prompts_file=write(tmp_path, UNEVEN)).protocol
    turned = dict(reversed(UNEVEN.items()))
    other = ask(subject(), dataset(), prompts_file=write(tmp_path, turned, "toml")).protocol
    assert first == other
    changed = write(tmp_path, {**UNEVEN, "owl": ["an owl"]})
    assert ask(subject(), dataset(), prompts_file=changed).protocol != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bee": None}, r"labels of the dataset have no prompts(.|\n)*found: 'bee'"),
        ({"wasp": ["a wasp"]}, r"no such labels(.|\n)*found: 'wasp'"),
        ({"bee": []}, "label 'bee' has no list of prompts"),
        ({"bee": [" "]}, "label 'bee' has no list of prompts"),
        ({"bee": "a bee"}, "label 'bee' has no list of prompts"),
        ({"bee": [3]}, "label 'bee' has no list of prompts"),
        ({"bee": ["x", float("nan")]}, r"label 'bee' has no list of prompts(.|\n)*nan"),
        ({"bee": ["a \ud83d"]}, "label 'bee': the text holds half of a surrogate pair"),
        ({"bee": ["a \0"]}, "label 'bee': the text holds a NUL"),
    ],
)
def test_a_file_that_does_not_fit_the_labels_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    table = {key: value for key, value in {**UNEVEN, **change}.items() if value is not None}
    with pytest.raises(DataError, match=message):
        read_prompts(write(tmp_path, table), LABELS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", '{"a": ["x"], "a": ["y"]}', "'a' is there twice"),
        ("p.json", "[1]", "this is no table"),
        ("p.json", "{", "cannot be read"),
        ("p.toml", "a = ", "cannot be read"),
        ("p.toml", 'a = ["\udcff"]', "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        read_prompts(path, ["a"])
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path / "missing.toml", ["a"])


def test_templates_and_a_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not from both"):
        ZeroShot(templates=["{}"], prompts_file=tmp_path / "p.toml")


@pytest.mark.parametrize("combine", ["features", "scores"])
def test_labels_in_blocks_give_what_all_labels_give(
    monkeypatch: pytest.MonkeyPatch, combine: str
) -> None:
    data = pictures([*LABELS, "carb", "kay"], [*LABELS, "kay"] * 3, templates=TEMPLATES)
    whole = ask(subject(), data, combine=combine)
    monkeypatch.setattr(ranking_of_labels, "BLOCK_LABELS", 3)
    parts = ask(subject(), data, combine=combine)
    np.testing.assert_array_equal(parts.samples.rank, whole.samples.rank)
    np.testing.assert_array_equal(parts.samples.has_tie, whole.samples.has_tie)
    np.testing.assert_array_equal(parts.rankings.label, whole.rankings.label)
    np.testing.assert_allclose(parts.rankings.score, whole.rankings.score, rtol=1e-5)
    assert parts.protocol == whole.protocol
    with pytest.raises(DataError, match="scored in blocks"):
        ask(subject(), data, keep_scores=True)


def test_all_scores_are_kept_when_wanted() -> None:
    result = ask(subject(), dataset(), templates=["{}"], keep_scores=True)
    assert result.scores.dtype == np.float16
    np.testing.assert_allclose(result.scores, cosines(list(LABELS)), atol=1e-3)
    assert ask(subject(), dataset()).scores is None


def test_labels_are_encoded_once_for_equal_weights_and_prompts() -> None:
    what = subject()
    first, second = ask(what, dataset()), ask(what, dataset(), k=2)
    assert what.remembered.made == 1
    np.testing.assert_array_equal(first.samples.rank, second.samples.rank)
    ask(what, dataset(), templates=["{}"])
    ask(what, dataset(), combine="scores")
    assert what.remembered.made == 3
    ask(replace(what, precision="bf16"), dataset())
    assert what.remembered.made == 4


def test_labels_are_encoded_again_after_a_step_of_training() -> None:
    projection = Projected()
    what = subject(projection)
    ask(what, dataset())
    with torch.no_grad():
        projection.weight.weight[0, 0] += 1e-3
    ask(what, dataset())
    assert what.remembered.made == 2


class Projected(Cosine):
    """The cosine of mapped features."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(256, 256, bias=False)

    def project(self, position: int, features: Features) -> Features:
        return super().project(position, Features.of(self.weight(features.pooled)))


def test_memory_forgets_what_was_not_asked_for_longest() -> None:
    remembered = Remembered(limit_bytes=2 * 41)
    for key in ("a", "b", "a", "c", "a", "b"):
        remembered.get((key,), lambda: Features.of(torch.zeros(1, 10)))
    assert remembered.made == 4
    remembered.get(("large",), lambda: Features.of(torch.zeros(9, 10)))
    remembered.get(("b",), lambda: Features.of(torch.zeros(1, 10)))
    assert remembered.made == 5


def test_weights_are_told_apart_by_every_bit() -> None:
    layer, other = nn.Linear(3, 3), nn.Linear(3, 3)
    other.load_state_dict(layer.state_dict())
    assert weights_sha256(layer) == weights_sha256(other)
    with torch.no_grad():
        other.bias[0] = torch.nextafter(other.bias[0], torch.tensor(9.0))
    assert weights_sha256(layer) != weights_sha256(other)


class Lengths(Letters):
    """Letters that note how long their inputs were, and ignore padding."""

    trims_text = True
    vocabulary = Vocabulary(256, 0, 1, frozenset({0, 1}))

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def transform(self, raw: object, train: bool) -> Tensor:
        ids = [ord(character) % 256 for character in str(raw)][:20]
        return torch.tensor(ids + [0] * (20 - len(ids)))

    def forward(self, x: Tensor) -> Features:
        self.seen.append(x.shape[1])
        return Features.of(F.one_hot(x, 256)[:, :, 1:].sum(1).float())


@pytest.mark.parametrize(("trims", "length"), [(True, 8), (False, 20)])
def test_prompts_are_cut_to_the_longest_only_where_that_is_exact(trims: bool, length: int) -> None:
    what, encoder = subject(), Lengths()
    encoder.trims_text = trims
    what.model.encoders["text"] = encoder
    reader = replace(what.readers["text"], encoder=encoder)
    what = replace(what, readers={**what.readers, "text": reader})
    found = what.encode_raws("text", ["owl", "the crab"])
    assert encoder.seen == [length]
    whole = encoder(torch.stack([encoder.transform(text, False) for text in ("owl", "the crab")]))
    torch.testing.assert_close(found.pooled, whole.pooled, rtol=0, atol=0)


def test_a_column_stays_where_all_is_padding() -> None:
    assert without_padding(torch.zeros(2, 5, dtype=torch.int64), 0).shape == (2, 1)
    assert without_padding(torch.tensor([[0, 3, 0], [4, 0, 0]]), 0).tolist() == [[0, 3], [4, 0]]


def test_prompts_know_their_counts_and_texts() -> None:
    prompts = Prompts(("a", "b"), by_label=(("x",), ("y", "z")))
    assert (prompts.most, prompts.is_even) == (2, False)
    assert prompts.texts(slice(1, 2)) == ["y", "z"]
    assert prompts.identity != Prompts(("a", "b"), by_label=(("x", "y"), ("z",))).identity


# --- other names in prompts ---------------------------------------------------------------------

NAMES = ("missile", "owl", "projectile", "elk")


def called(prompt_names: tuple[str, ...]) -> Called:
    rows = [{"image": letters(word)} for word in ("missile", "missiles", "owl", "elk")]
    return Called(rows, [(0,), (2,), (1,), (3,)], labels=NAMES, prompt_names=prompt_names)


def test_prompts_call_labels_as_the_dataset_does() -> None:
    others = ("x-ray", "night bird", "thrown thing", "deer")
    found = ask(subject(), called(others))
    rows = [{"image": letters(word)} for word in ("missile", "missiles", "owl", "elk")]
    same = ask(subject(), Words(rows, [(0,), (2,), (1,), (3,)], labels=others))
    np.testing.assert_array_equal(found.samples.rank, same.samples.rank)
    np.testing.assert_array_equal(found.samples.probability, same.samples.probability)
    assert found.labels == NAMES


@pytest.mark.parametrize("combine", ["features", "scores", "probabilities"])
def test_labels_of_one_prompt_tie_and_the_lower_id_ranks_first(combine: str) -> None:
    found = ask(subject(), called(("missile", "owl", "missile", "elk")), combine=combine)
    assert found.samples.rank.tolist() == [1, 2, 1, 1]
    assert found.samples.has_tie.tolist() == [True, True, False, False]
    assert found.rankings.label[:2, :2].tolist() == [[0, 2], [0, 2]]
    probabilities = found.rankings.score[:2]
    assert (probabilities[:, 0] == probabilities[:, 1]).all()
    assert found.metrics["top1"] == 0.75


def test_rounding_does_not_decide_between_labels_of_one_prompt() -> None:
    scores = torch.tensor([[0.1, 0.5, 0.1 + 1e-8, 0.5 - 1e-8]])
    assert alike(scores, None) is scores
    firsts = Prompts(("a", "b", "a", "b"), ("{}",)).firsts
    assert alike(scores, firsts).tolist() == scores[:, [0, 1, 0, 1]].tolist()
    assert Prompts(("a", "b"), ("{}",)).firsts is None
    assert Prompts(("a", "b", "c"), by_label=(("x", "y"), ("y", "x"), ("x", "y"))).firsts == [
        0,
        1,
        0,
    ]


def test_other_names_are_part_of_the_protocol_and_the_same_names_are_not() -> None:
    plain = ask(subject(), Words(called(NAMES).rows, called(NAMES).targets, labels=NAMES)).protocol
    assert ask(subject(), called(NAMES)).protocol == plain
    other = ask(subject(), called(("missile", "owl", "missile", "elk"))).protocol
    assert {key: value for key, value in other.items() if key != "prompt_names"} == plain
    assert "prompt_names" not in plain
    assert (
        other["prompt_names"]
        != ask(subject(), called(("a", "b", "c", "d"))).protocol["prompt_names"]
    )


def test_a_file_of_prompts_knows_labels_by_their_own_names(tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps({name: [name] for name in NAMES}))
    found = ask(subject(), called(("a", "b", "c", "d")), prompts_file=file)
    assert "prompt_names" not in found.protocol
    assert found.samples.rank[2:].tolist() == [1, 1]
