"""Low-rank adapters: they start at nothing, learn alone, and are summed into what is saved."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from support.lab import DATASET, PAIRED, Lab
from torch import Tensor, nn

import mmlab
from mmlab.errors import SpecError
from mmlab.model.adapters import adapt, merge_state, split_state
from mmlab.spec import LoraTable

LORA = PAIRED[1] + "[encoders.text.lora]\nrank = 2\nalpha = 6.0\n"


class Tower(nn.Module):
    """Two stages of two linear maps, and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 6))
        self.norm = nn.BatchNorm1d(6)
        self.second = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.norm(self.first(x)))
        return result


def make(
    targets: Sequence[str] = ("*",), frozen: bool = False
) -> tuple[Tower, Sequence[nn.Module]]:
    torch.manual_seed(0)
    tower = Tower()
    table = LoraTable(rank=2, alpha=6.0, targets=list(targets))
    kept = adapt(tower, table, [tower.first] if frozen else [], "encoders.x.lora")
    return tower, kept


def trained(tower: nn.Module) -> set[str]:
    """Names of what is trained, without the last part."""
    return {name.rpartition(".")[0] for name, p in tower.named_parameters() if p.requires_grad}


def learn(tower: Tower) -> None:
    """A few steps of what is trained."""
    parameters = [p for p in tower.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(3):
        tower(torch.randn(8, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_an_adapted_encoder_starts_as_it_was() -> None:
    torch.manual_seed(0)
    plain, (adapted, _) = Tower().eval(), make()
    x = torch.randn(8, 5)
    assert torch.equal(plain(x), adapted.eval()(x))


def test_adapters_alone_learn_and_the_sum_is_saved_under_the_plain_names() -> None:
    tower, kept = make()
    for module in kept:
        module.eval()
    before = {name: x.clone() for name, x in tower.state_dict().items()}
    learn(tower)
    after = tower.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"up", "down"}
    plain = Tower()
    plain.load_state_dict(merge_state(tower, after))
    x = torch.randn(8, 5)
    torch.testing.assert_close(plain.eval()(x), tower.eval()(x), rtol=0, atol=0)
    original, up, down = (
        after[f"first.0.parametrizations.weight.{name}"] for name in ("original", "0.up", "0.down")
    )
    torch.testing.assert_close(plain.first[0].weight, original + 3.0 * up @ down)


def test_saved_weights_come_back_into_the_adapted_encoder() -> None:
    tower, _ = make()
    learn(tower)
    x = torch.randn(8, 5)
    expected, saved = tower.eval()(x), merge_state(tower, tower.state_dict())
    other, _ = make()
    learn(other.train())
    other.load_state_dict(split_state(other, saved))
    torch.testing.assert_close(other.eval()(x), expected)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(["second.*"], {"second.0", "second.2"}), (["2"], {"first.2", "second.2"})],
)
def test_targets_are_patterns_of_names(targets: list[str], expected: set[str]) -> None:
    tower, _ = make(targets)
    assert {name.split(".parametrizations")[0] for name in trained(tower)} == expected


def test_frozen_stages_get_no_adapters() -> None:
    tower, _ = make(frozen=True)
    assert all(name.startswith("second.") for name in trained(tower))


def test_targets_that_name_nothing_are_refused_with_the_names_there_are() -> None:
    with pytest.raises(SpecError, match=r"encoders.x.lora.targets(.|\n)*first.0, first.2"):
        make(["query"])


def test_a_run_trains_adapters_keeps_plain_weights_and_others_start_from_them(
    sqlite_lab: Lab,
) -> None:
    plain = sqlite_lab.weights(sqlite_lab.run_one(sqlite_lab.write("plain", PAIRED)))
    tables = [DATASET, LORA, *PAIRED[2:]]
    start = 'encoders.text.weights={run = "plain"}'
    detail = sqlite_lab.run_one(sqlite_lab.write("adapted", tables), start)
    adapted = sqlite_lab.weights(detail)
    assert adapted.keys() == plain.keys()
    names = ["model.encoders.text.first.bias", "model.encoders.text.first.weight"]
    same = [torch.equal(adapted[name], plain[name]) for name in names]
    assert same == [True, False]
    assert torch.linalg.matrix_rank(adapted[names[1]] - plain[names[1]], atol=1e-6) <= 2
    loaded = mmlab.load("adapted", sqlite_lab.db).model.state_dict()
    assert torch.equal(loaded[names[1].removeprefix("model.")], adapted[names[1]])
    further = sqlite_lab.write("further", tables)
    sqlite_lab.run_one(further, 'encoders.text.weights={run = "adapted"}')
