"""The random start of each module: its own, whatever else is built with the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from support.every_component import (
    CONCAT,
    CONTRASTIVE,
    DATA,
    ELSEWHERE,
    ENCODERS,
    LABELS,
    LINEAR,
    PAIR,
    PICTURES,
    READ_FROM_FILES,
    TEXTS,
    around_fusion,
    around_generator,
    around_loss,
    data_for,
    encoder_tables,
    first_party,
)
from support.lab import install
from torch import Tensor, nn

from mmlab.data.splits import Splits
from mmlab.errors import PluginError
from mmlab.model.build import BuiltCell, build
from mmlab.plan.resolve import plan_specs

pytestmark = pytest.mark.slow

TRAIN = "[train]\nmax_steps = 1\nbatch_size = 2\n"
#: An encoder that nothing is asked of but to be something else beside.
DRAWING = 'use = "drawing"\n'


class Cells:
    """Builds cells; what was asked for before is given again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._built: dict[str, BuiltCell] = {}

    def __call__(
        self, encoders: Mapping[str, str], *tables: str, data: str = DATA, seed: int = 0
    ) -> BuiltCell:
        """The cell of these encoders and tables with a seed."""
        head = 'schema_version = 1\nname = "starts"\n'
        sweep = f"[sweep]\nseeds = [{seed}]\n"
        text = "\n".join([head, data, *encoder_tables(encoders), *tables, TRAIN, sweep])
        if text not in self._built:
            self._built[text] = self._build(text)
        return self._built[text]

    def forget(self) -> None:
        """Build everything anew from here on."""
        self._built.clear()

    def _build(self, text: str) -> BuiltCell:
        path = self.folder / "starts.toml"
        path.write_text(text)
        (plan,) = plan_specs([path], ())
        return build(plan, Splits(), {})


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    """Cells of the components of `support.starts` and of all that are installed."""
    folder = tmp_path_factory.mktemp("starts")
    with pytest.MonkeyPatch.context() as patch:
        install(patch, folder / "site", "starts")
        yield Cells(folder)


def assert_equal(first: nn.Module, second: nn.Module) -> None:
    """Every tensor is there in both, bit for bit."""
    one, other = first.state_dict(), second.state_dict()
    assert one.keys() == other.keys()
    differing = [name for name, x in one.items() if not torch.equal(x, other[name])]
    assert differing == []


def differing(first: nn.Module, second: nn.Module) -> set[str]:
    """Names of the learnt tensors that differ."""
    one, other = dict(first.named_parameters()), dict(second.named_parameters())
    return {name for name, x in one.items() if not torch.equal(x, other[name])}


def test_every_encoder_is_looked_at() -> None:
    assert first_party("encoder") - READ_FROM_FILES == set(ENCODERS)


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - ELSEWHERE))
def test_an_encoder_starts_alike_whatever_stands_beside_it(cell: Cells, name: str) -> None:
    modality, options = ENCODERS[name]
    subject = f'use = "{name}"\nmodality = "{modality}"\n{options}'
    alone = cell({"subject": subject, "image": DRAWING}, CONCAT, LINEAR, LABELS)
    changed = cell(
        {"text": TEXTS, "image": DRAWING + "dim = 11\n", "subject": subject},
        '[fusion]\nuse = "mutan"\ndim = 5\n',
        '[head]\nuse = "mlp"\n',
        LABELS,
        '[[losses]]\nuse = "simclr"\nencoder = "image"\n',
    )
    assert_equal(alone.model.encoders["subject"], changed.model.encoders["subject"])
    other = cell({"subject": subject, "image": DRAWING}, CONCAT, LINEAR, LABELS, seed=1)
    assert differing(alone.model.encoders["subject"], other.model.encoders["subject"])


@pytest.mark.parametrize("name", sorted(first_party("fusion")))
def test_a_fusion_starts_alike_and_leaves_all_others_as_they_were(cell: Cells, name: str) -> None:
    subject, plain = cell(PAIR, *around_fusion(name)), cell(PAIR, *around_fusion("concat"))
    for key in PAIR:
        assert_equal(subject.model.encoders[key], plain.model.encoders[key])
    assert_equal(subject.step.losses["info_nce"], plain.step.losses["info_nce"])
    assert_equal(subject.step.losses["simclr"], plain.step.losses["simclr"])
    other = {"extra": DRAWING + 'modality = "audio"\n', **PAIR}
    inputs = around_fusion(name)[0].replace("\n", '\ninputs = ["image", "text"]\n', 1)
    beside = cell(other, inputs, *around_fusion(name)[1:], '[[losses]]\nuse = "sigmoid"\n')
    assert_equal(subject.model.fusion, beside.model.fusion)
    if subject.model.head is not None and beside.model.head is not None:
        assert_equal(subject.model.head, beside.model.head)


def test_a_pair_of_an_ablation_shares_its_head_where_shapes_allow(cell: Cells) -> None:
    fusions = ("bilinear", "concat", "gating", "sum")
    tables = [
        (f'[fusion]\nuse = "{name}"\ndim = 8\n', *around_fusion(name)[1:]) for name in fusions
    ]
    cells = [cell(PAIR, *each) for each in tables]
    for first, second in combinations(cells, 2):
        assert first.model.head is not None
        assert second.model.head is not None
        assert_equal(first.model.head, second.model.head)
        for key in PAIR:
            assert_equal(first.model.encoders[key], second.model.encoders[key])
    scorers = [each.model.scorer for each in cells]
    assert all(isinstance(scorer, nn.Linear) for scorer in scorers)
    assert differing(cells[0].model.fusion, cell(PAIR, *tables[0], seed=1).model.fusion)


@pytest.mark.parametrize("name", sorted(first_party("head")))
def test_a_head_starts_alike_whatever_stands_beside_it(cell: Cells, name: str) -> None:
    head = f'[head]\nuse = "{name}"\n'
    fusions = [f'[fusion]\nuse = "{fusion}"\ndim = 3\n' for fusion in ("concat", "mutan")]
    first = cell(PAIR, fusions[0], head, LABELS)
    second = cell({"image": DRAWING, "text": DRAWING}, fusions[1], head, LABELS, CONTRASTIVE)
    assert first.model.head is not None
    assert second.model.head is not None
    assert_equal(first.model.head, second.model.head)


@pytest.mark.parametrize("name", sorted(first_party("generator")))
def test_a_generator_starts_alike_whatever_stands_beside_it(cell: Cells, name: str) -> None:
    _, table, loss = around_generator(name)
    inputs = CONCAT + 'inputs = ["image", "text"]\n'
    first = cell(PAIR, inputs, table, loss)
    more = {"text": TEXTS, "extra": DRAWING + 'modality = "audio"\n', "image": PICTURES}
    second = cell(more, inputs, LINEAR, table, LABELS, SECOND_LOSS, loss)
    assert first.model.generator is not None
    assert second.model.generator is not None
    assert_equal(first.model.generator, second.model.generator)
    assert_equal(first.model.fusion, second.model.fusion)
    other = cell(PAIR, inputs, table, loss, seed=1).model.generator
    assert other is not None
    assert differing(first.model.generator, other)


@pytest.mark.parametrize("name", sorted(first_party("loss") - {"generation"}))
def test_a_loss_starts_alike_whatever_stands_beside_it(cell: Cells, name: str) -> None:
    data = data_for(name)
    *_, loss = around_loss(name)
    first = cell(PAIR, *around_loss(name), data=data)
    more = {"text": TEXTS, "extra": DRAWING + 'modality = "audio"\n', "image": PICTURES}
    mlp = '[head]\nuse = "mlp"\n'
    inputs = 'inputs = ["image", "text"]\n'
    second = cell(more, CONCAT + inputs, mlp, SECOND_LOSS, loss, data=data)
    assert_equal(first.step.losses[name], second.step.losses[name])


#: A loss of similarities with a start of its own, under a name that no loss has.
SECOND_LOSS = '[[losses]]\nuse = "simclr"\nname = "before"\nencoder = "text"\n'


def test_the_order_of_encoders_does_not_matter(cell: Cells) -> None:
    keys = {"image": DRAWING, "text": DRAWING + "dim = 5\n", "audio": DRAWING}
    inputs = CONCAT + 'inputs = ["audio", "image", "text"]\n'
    first = cell(keys, inputs, LINEAR, LABELS)
    second = cell(dict(reversed(keys.items())), inputs, LINEAR, LABELS)
    for key in keys:
        assert_equal(first.model.encoders[key], second.model.encoders[key])
    assert_equal(first.model.fusion, second.model.fusion)
    drawn = [first.model.encoders[key].drawn for key in ("image", "audio")]
    assert not torch.equal(*drawn)  # of NumPy's and Python's generators
    assert len(set(first.model.encoders["image"].fitted.tolist())) == 3


def test_what_is_made_once_has_the_scope_of_its_key(cell: Cells) -> None:
    sharing = 'use = "sharing"\n'
    both = cell({"image": sharing, "text": sharing}, CONCAT, LINEAR, LABELS).model.encoders
    turned = cell({"text": sharing, "image": sharing}, CONCAT, LINEAR, LABELS).model.encoders
    for key, beside in (("image", "text"), ("text", "image")):
        alone = cell({key: sharing, beside: DRAWING}, CONCAT, LINEAR, LABELS).model.encoders
        assert_equal(both[key], turned[key])
        assert_equal(both[key], alone[key])
        assert_equal(
            both[key].map,
            cell({key: DRAWING, beside: DRAWING}, CONCAT, LINEAR, LABELS).model.encoders[key].map,
        )
    assert not torch.equal(both["image"].share.weight, both["text"].share.weight)


def test_adapters_start_alike_whatever_else_is_adapted(cell: Cells) -> None:
    adapted = {key: f"{text}lora = {{ rank = 2 }}\n" for key, text in PAIR.items()}
    both = cell(adapted, CONCAT, LINEAR, LABELS).model
    one = cell({**PAIR, "text": adapted["text"]}, CONCAT, LINEAR, LABELS).model
    assert_equal(both.encoders["text"], one.encoders["text"])
    downs = [x for name, x in one.encoders["text"].named_parameters() if name.endswith("down")]
    assert len(downs) > 1
    assert all(bool(x.any()) for x in downs)
    plain = cell(PAIR, CONCAT, LINEAR, LABELS).model
    assert_equal(both.fusion, plain.fusion)
    weights = dict(both.encoders["image"].named_parameters())
    for name, x in plain.encoders["image"].named_parameters():
        kept = name.replace("weight", "parametrizations.weight.original")
        assert torch.equal(x, weights.get(kept, weights.get(name))), name


def states() -> list[Tensor | bytes]:
    numbers = np.random.get_state()[1]
    return [torch.get_rng_state(), numbers.tobytes(), repr(random.getstate()).encode()]


def test_building_leaves_the_generators_as_it_found_them_and_does_not_read_them(
    cell: Cells,
) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = states()
    cell.forget()
    first = cell({"image": DRAWING, "text": TEXTS}, CONCAT, LINEAR, LABELS)
    cell.forget()
    after = states()
    assert torch.equal(before[0], after[0])  # type: ignore[arg-type]
    assert before[1:] == after[1:]
    torch.manual_seed(6)
    np.random.seed(6)
    random.seed(6)
    assert_equal(first.step, cell({"image": DRAWING, "text": TEXTS}, CONCAT, LINEAR, LABELS).step)


def test_a_lazy_encoder_is_refused(cell: Cells) -> None:
    with pytest.raises(
        PluginError, match=r"encoders\.text: encoder 'lazy' of starts-mmlab"
    ) as said:
        cell({"image": DRAWING, "text": 'use = "lazy"\n'}, CONCAT, LINEAR, LABELS)
    assert "its parameters are lazy" in str(said.value)
    assert "found: late.weight" in str(said.value)


def test_a_lazy_fusion_is_refused(cell: Cells) -> None:
    with pytest.raises(PluginError, match=r"fusion 'lazy' of starts-mmlab(.|\n)*found: weight"):
        cell({"image": DRAWING, "text": DRAWING}, '[fusion]\nuse = "lazy"\n', LINEAR, LABELS)
