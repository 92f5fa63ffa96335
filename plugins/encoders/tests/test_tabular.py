import json
from typing import Any

import pytest
import torch
from mmlab_encoders.columns import KNOWN, MISSING, NUMBER, UNKNOWN, Columns
from mmlab_encoders.tabular import CellEmbedding, Tabular

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError, WeightsError
from mmlab.testing import check_encoder

ROWS: list[dict[str, Any]] = [
    {"age": 20, "town": "Bern", "note": None},
    {"age": 40.0, "town": "Chur", "note": "x"},
    {"age": None, "town": "Bern"},
    {"town": "Thun", "age": 60},
]
SMALL: dict[str, Any] = {"columns": 5, "categories": 8, "width": 8}


@pytest.mark.parametrize("options", [{}, {"depth": 0}])
def test_tabular_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(Tabular, ROWS, modality="tabular", **SMALL | options)


def fitted(columns: int = 5, categories: int = 8) -> Columns:
    made = Columns(columns, categories)
    made.fit(ROWS)
    return made


def test_numbers_are_standardised_over_the_cells_there_are() -> None:
    cells = [fitted().encode({"age": age})[0].tolist() for age in (20, 40, 60)]
    spread = (800 / 3) ** 0.5
    expected = [[NUMBER, x / spread] for x in (-20, 0, 20)]
    assert cells == [pytest.approx(pair) for pair in expected]


def test_the_most_frequent_category_comes_first() -> None:
    kinds = [int(fitted().encode({"town": town})[2, 0]) for town in ("Bern", "Chur", "Thun", "Rom")]
    assert kinds == [KNOWN, KNOWN + 2, KNOWN + 3, UNKNOWN]  # the note "x" is second


def test_categories_that_find_no_room_are_unknown() -> None:
    columns = fitted(categories=1)
    assert int(columns.encode({"town": "Bern"})[2, 0]) == KNOWN
    assert int(columns.encode({"town": "Chur"})[2, 0]) == UNKNOWN


def test_cells_that_are_not_there_are_missing_and_other_columns_are_left_out() -> None:
    cells = fitted().encode({"height": 3})
    assert cells[:, 0].tolist() == [MISSING, MISSING, MISSING, 0, 0]


def test_a_column_of_equal_numbers_is_zero() -> None:
    columns = Columns(1, 1)
    columns.fit([{"a": 7}, {"a": 7}])
    assert columns.encode({"a": 7})[0].tolist() == [NUMBER, 0]


def test_columns_travel_with_the_weights() -> None:
    other = Columns(5, 8)
    other.load_state_dict(fitted().state_dict())
    assert all(torch.equal(other.encode(row), fitted().encode(row)) for row in ROWS)
    with pytest.raises(WeightsError, match="3 columns, 4 categories"):
        Columns(2, 8).load_state_dict(fitted().state_dict())


def test_the_table_is_kept_as_json() -> None:
    numbers, kinds = json.loads(bytes(fitted().get_extra_state().tolist()))
    assert list(numbers) == ["age"]
    assert set(kinds) == {"town", "note"}


def test_a_cell_is_its_value_times_its_columns_weight() -> None:
    torch.manual_seed(0)
    embedding = CellEmbedding(columns=4, categories=3, width=2)
    x = torch.tensor([[[NUMBER, 0.5], [KNOWN + 1, 0], [MISSING, 0], [UNKNOWN, 0]]]).float()
    tokens = embedding(x)[0]
    expected = torch.stack(
        [
            0.5 * embedding.weight[0] + embedding.bias[0],
            embedding.categories.weight[2] + embedding.bias[1],
            embedding.missing[2],
            embedding.categories.weight[0] + embedding.bias[3],
        ]
    )
    torch.testing.assert_close(tokens, expected)


def test_unused_columns_change_nothing(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = Tabular(context, **SMALL).eval()
    encoder.fit(ROWS)
    x = torch.stack([encoder.transform(row, False) for row in ROWS])
    before = encoder(x).pooled
    with torch.no_grad():
        encoder.embedding.missing[3:] = 9
    assert torch.equal(encoder(x).pooled, before)


@pytest.mark.parametrize("row", ["text", {"a": float("nan")}, {"a": True}, {"a": [1]}])
def test_a_value_that_is_no_row_is_refused(row: object) -> None:
    with pytest.raises(DataError, match="no row of a table"):
        fitted().encode(row)


def test_text_in_a_column_of_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="column 'age'"):
        fitted().encode({"age": "old"})


def test_more_columns_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(SpecError, match="at most 2"):
        Columns(2, 8).fit(ROWS)


def test_nothing_to_learn_and_nothing_learnt_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        Columns(2, 8).fit([{"a": None}, {}])
    with pytest.raises(WeightsError, match="no columns yet"):
        Columns(2, 8).encode({"a": 1})


def test_a_product_of_two_columns_is_learnt(context: BuildContext) -> None:
    torch.manual_seed(0)
    rows = [{"a": a, "b": b} for a in (-1, 1) for b in ("no", "yes")]
    target = torch.tensor([0, 1, 1, 0])
    encoder = Tabular(context, **SMALL)
    encoder.fit(rows)
    head = torch.nn.Linear(8, 2)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.01)
    x = torch.stack([encoder.transform(row, True) for row in rows])
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(head(encoder(x).pooled), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert head(encoder(x).pooled).argmax(1).tolist() == target.tolist()
