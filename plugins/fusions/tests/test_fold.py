"""Three inputs and more of the operators of two: both folds against plain loops, in float64."""

import math
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint
from itertools import combinations, product
from typing import Any

import mmlab_fusions
import pytest
import torch
from torch import Tensor

from mmlab.plugin import Features, SpecError

Vector = list[float]
#: What an operator gives for two vectors, None for one that is absent.
Of = Callable[[Any, Vector | None, Vector | None], Vector]
WIDTHS = (3, 2, 4, 2)
DIM = 5


def apply(matrix: Tensor, x: Vector) -> Vector:
    rows = matrix.tolist()
    return [math.fsum(w * a for w, a in zip(row, x, strict=True)) for row in rows]


def multiplied(x: Vector, y: Vector) -> Vector:
    return [a * b for a, b in zip(x, y, strict=True)]


def added(*vectors: Vector) -> Vector:
    return [math.fsum(column) for column in zip(*vectors, strict=True)]


def sigmoid(x: Vector) -> Vector:
    return [1 / (1 + math.exp(-a)) for a in x]


def forms(weight: Tensor, u: Vector, v: Vector) -> Vector:
    return [math.fsum(multiplied(u, apply(matrix, v))) for matrix in weight]


def gating(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    value = [0.0] * DIM if v is None else apply(of.maps[1].weight, v)
    return multiplied([0.5] * DIM if u is None else sigmoid(apply(of.maps[0].weight, u)), value)


def gating_by_the_second(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    value = [0.0] * DIM if u is None else apply(of.maps[0].weight, u)
    return multiplied(value, [0.5] * DIM if v is None else sigmoid(apply(of.maps[1].weight, v)))


def tanh_gating(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    value = [0.0] * DIM if v is None else apply(of.maps[1].weight, v)
    gate = [1.0] * DIM if u is None else [math.tanh(a) for a in apply(of.maps[0].weight, u)]
    return multiplied(gate, value)


def bilinear(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    return [0.0] * DIM if u is None or v is None else forms(of.weight, u, v)


def bilinear_gated(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    gate = [0.5] * of.weight.shape[2] if v is None else sigmoid(v)
    return [0.0] * DIM if u is None else forms(of.weight, u, gate)


def film(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    shift = [0.0] * DIM if u is None else apply(of.shift.weight, u)
    scale = [1.0] * DIM if u is None else [1 + a for a in apply(of.scale.weight, u)]
    value = [0.0] * DIM if v is None else apply(of.value.weight, v)
    return added(multiplied(scale, value), shift)


def interactions(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    linear = [
        apply(layer.weight, x) for layer, x in zip(of.maps, (u, v), strict=True) if x is not None
    ]
    return added(bilinear(of, u, v), *linear, of.bias.tolist())


def inner_product(of: Any, u: Vector | None, v: Vector | None) -> Vector:
    if u is None or v is None:
        return [0.0]
    x, y = (apply(layer.weight, w) for layer, w in zip(of.projections, (u, v), strict=True))
    lengths = math.hypot(*x) * math.hypot(*y) if of.is_cosine else 1
    return [math.fsum(multiplied(x, y)) / lengths]


#: The operator's name in a spec, further options, and what it gives for two vectors.
OPERATORS: dict[str, tuple[str, dict[str, Any], Of]] = {
    "bilinear": ("bilinear", {}, bilinear),
    "bilinear_gated": ("bilinear_gated", {}, bilinear_gated),
    "film": ("film", {}, film),
    "gating": ("gating", {}, gating),
    "gating, by the second": ("gating", {"gate": "v"}, gating_by_the_second),
    "inner_product": ("inner_product", {"cosine": False}, inner_product),
    "inner_product, cosine": ("inner_product", {}, inner_product),
    "multiplicative_interactions": ("multiplicative_interactions", {}, interactions),
    "tanh_gating": ("tanh_gating", {}, tanh_gating),
}
#: Every operator with every fold that it has; an inner product is too narrow for another step.
FOLDED = [(case, "pairwise") for case in OPERATORS] + [
    (case, "left") for case in OPERATORS if not case.startswith("inner_product")
]
NAMES = sorted({name for name, _, _ in OPERATORS.values()})


def load(name: str) -> Any:
    return EntryPoint(name, mmlab_fusions.mmlab_fusions()[name], "mmlab").load()


def make(case: str, fold: str, dims: Sequence[int] = WIDTHS[:3]) -> Any:
    """An operator in float64, all of whose parameters are random: a bias starts at 0."""
    name, options, _ = OPERATORS[case]
    given = {"fold": fold} if name != "inner_product" else {}
    fusion = load(name)(dims, dim=DIM, **options, **given).double()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter)
    return fusion


def pairwise_slowly(of: Of, operators: Sequence[Any], xs: Sequence[Vector | None]) -> Vector:
    """The mean over the pairs that most is there of."""
    pairs = list(zip(operators, combinations(xs, 2), strict=True))
    most = max(sum(x is not None for x in pair) for _, pair in pairs)
    parts = [of(o, *pair) for o, pair in pairs if sum(x is not None for x in pair) == most]
    return [a / len(parts) for a in added(*parts)]


def from_left_slowly(of: Of, operators: Sequence[Any], xs: Sequence[Vector | None]) -> Vector:
    """One after another; an absent one is left out after the first step."""
    first, second, *rest = xs
    z, there = of(operators[0], first, second), first is not None or second is not None
    for operator, x in zip(operators[1:], rest, strict=True):
        if x is not None:
            z, there = of(operator, z if there else None, x), True
    return z


SLOWLY = {"pairwise": pairwise_slowly, "left": from_left_slowly}


def rows(inputs: Sequence[Tensor], present: Sequence[bool]) -> Iterator[list[Vector | None]]:
    for row in zip(*(x.tolist() for x in inputs), strict=True):
        yield [x if there else None for x, there in zip(row, present, strict=True)]


def given(x: Tensor, there: bool) -> Features:
    """Features that are all present, or all absent and hold NaN."""
    present = torch.full(x.shape[:-1], there)
    return Features(x if there else torch.full_like(x, torch.nan), None, None, present)


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize(("case", "fold"), FOLDED)
def test_a_fold_is_what_a_slow_loop_gives_whatever_is_absent(
    case: str, fold: str, count: int, fuse: Callable[..., Tensor], random: Callable[..., Tensor]
) -> None:
    """Every combination of inputs, all of them and none included."""
    fusion, inputs = make(case, fold, WIDTHS[:count]), [random(2, w) for w in WIDTHS[:count]]
    operators = [fusion, *fusion.fold.further]
    for present in product([True, False], repeat=count):
        features = [given(x, there) for x, there in zip(inputs, present, strict=True)]
        expected = [
            SLOWLY[fold](OPERATORS[case][2], operators, row) for row in rows(inputs, present)
        ]
        found = fuse(fusion, *features)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_of_two_inputs_the_operator_is_as_without_a_fold(name: str) -> None:
    """Parameters and their names: no weights of a run become unreadable."""
    factory = load(name)
    names = set(factory((3, 2), dim=4).state_dict())
    assert names
    assert not any("fold" in parameter for parameter in names)
    assert any("fold.further" in parameter for parameter in factory((3, 2, 4), dim=4).state_dict())


@pytest.mark.parametrize("case", OPERATORS)
def test_with_two_inputs_present_pairs_are_the_operator_of_those_two(
    case: str, fuse: Callable[..., Tensor], random: Callable[..., Tensor]
) -> None:
    """As if the absent one were not in the spec: nothing is scaled by what is missing."""
    fusion, inputs = make(case, "pairwise"), [random(2, width) for width in WIDTHS[:3]]
    operators = [fusion, *fusion.fold.further]
    for operator, (i, j) in zip(operators, combinations(range(3), 2), strict=True):
        features = [given(x, position in (i, j)) for position, x in enumerate(inputs)]
        u, v = operator.side(0, features[i]), operator.side(1, features[j])
        torch.testing.assert_close(fuse(fusion, *features), operator.join(u, v))


@pytest.mark.parametrize(("case", "fold"), FOLDED)
def test_samples_of_one_batch_may_lack_different_inputs(
    case: str, fold: str, fuse: Callable[..., Tensor], random: Callable[..., Tensor]
) -> None:
    fusion, inputs = make(case, fold), [random(8, width) for width in WIDTHS[:3]]
    present = torch.tensor(list(product([True, False], repeat=3)))
    features = [Features(x, None, None, present[:, i]) for i, x in enumerate(inputs)]
    alone = [
        fuse(fusion, *(f.map(lambda x, row=row: x[row : row + 1]) for f in features))
        for row in range(8)
    ]
    torch.testing.assert_close(fuse(fusion, *features), torch.cat(alone))


@pytest.mark.parametrize("name", ["bilinear", "bilinear_gated", "multiplicative_interactions"])
def test_the_weights_of_all_pairs_together_stay_within_the_limit(name: str) -> None:
    """256 x 256 x 16 weights of 4 bytes are 4 MiB."""
    factory = load(name)
    factory((256, 256, 256), dim=16, limit_mib=12)
    factory((256, 256), dim=16, limit_mib=4)
    with pytest.raises(SpecError, match=r"16 x 256 x 256 \+ 16 x 256 x 256 \+ .* weights, 12 MiB"):
        factory((256, 256, 256), dim=16, limit_mib=11)


# --- a planted problem: whether an even number of three signs is negative ------------------------


def parity(fold: str) -> float:
    """Accuracy on all eight combinations, which nothing of two signs says anything about."""
    torch.manual_seed(0)
    signs = torch.tensor(list(product([1.0, -1.0], repeat=3)))
    inputs = [torch.stack([column, torch.ones(8)], dim=1) for column in signs.T]
    fusion = load("bilinear")((2, 2, 2), dim=8, fold=fold)
    head, even = torch.nn.Linear(8, 1), signs.prod(dim=1) > 0
    optimizer = torch.optim.Adam([*fusion.parameters(), *head.parameters()], lr=0.05)
    for _ in range(150):
        projected = [fusion.project(i, Features.of(x)) for i, x in enumerate(inputs)]
        output = head(fusion.fuse(*projected)).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(output, even.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(((output > 0) == even).double().mean())


def test_the_left_fold_multiplies_all_three_and_pairs_cannot() -> None:
    """No sum of functions of two signs each gets more than six of the eight right."""
    assert parity("left") == 1
    assert parity("pairwise") <= 0.75
