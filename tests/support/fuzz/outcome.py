"""How a reader is compared with a plain one: equal samples, or a refusal that names the place."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from mmlab.plugin import DataError, Sample, SpecError

#: Without the variable the same examples in every run; `make fuzz` draws others each time.
SHORT = 200
EXAMPLES = int(os.environ.get("MMLAB_FUZZ_EXAMPLES", SHORT))
Test = Callable[..., None]


def fuzzed(
    *strategies: st.SearchStrategy[Any], one_in: int = 1, **named: st.SearchStrategy[Any]
) -> Any:
    """A test of as many examples as the environment asks for, or of one in so many."""

    def decorate(test: Test) -> Test:
        chosen = settings(
            max_examples=max(1, EXAMPLES // one_in),
            deadline=None,
            derandomize="MMLAB_FUZZ_EXAMPLES" not in os.environ,
            database=None,
            print_blob=True,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.fuzz(pytest.mark.slow(chosen(given(*strategies, **named)(test))))

    return decorate


class Unclear(Exception):
    """A plain reader met what has no one right reading: it must be refused."""


class Told(NamedTuple):
    """What a sample says; files of a modality are not opened."""

    id: str
    modalities: tuple[str, ...]
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    targets: tuple[float | None, ...] = ()
    tabular: tuple[tuple[str, str | float | None], ...] = ()


def told(dataset: Any) -> list[Told]:
    """What all samples of a dataset say."""
    return [_told(dataset.outline(index), dataset) for index in range(len(dataset))]


def _told(sample: Sample, dataset: Any) -> Told:
    values = sample.values
    tabular: Any = values.get("tabular", {})
    labels = None if sample.labels is None else [dataset.labels[label] for label in sample.labels]
    targets = tuple(None if math.isnan(target) else target for target in sample.targets)
    return Told(
        sample.id,
        tuple(sorted(values)),
        tuple(values.get("text", ())),  # type: ignore[arg-type]
        None if labels is None else tuple(sorted(labels)),
        targets,
        tuple(sorted((name.strip(), cell) for name, cell in tabular.items())),
    )


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder of one example alone."""
    with tempfile.TemporaryDirectory(prefix="mmlab-fuzz-") as folder:
        yield Path(folder)


def compare(
    make: Callable[[], Any],
    plain: Callable[[], Sequence[Told]],
    places: str,
    *,
    may_refuse: bool = False,
) -> Any:
    """The dataset, whose samples are those of the plain reader; None where it was refused.

    `places` is a pattern of what a refusal begins with. A file that the plain reader understands
    is read too, unless it `may_refuse` it. Any other exception than mmlab's own goes through.
    """
    unclear, expected, refusal = None, None, ""
    try:
        expected = list(plain())
    except Unclear as error:
        unclear = error
    try:
        dataset = make()
        found = told(dataset)
    except (DataError, SpecError) as error:
        refusal = str(error)
    if refusal:
        assert re.match(places, refusal), f"the place is not named: {refusal}"
        assert unclear or may_refuse, f"refused, and yet its samples are {expected}: {refusal}"
        refusal.encode()  # can be printed
        event(f"refused: {str(unclear)[:25]}")
        return None
    assert unclear is None, f"{unclear}, and yet it was read as {found}; {dataset.notes}"
    assert found == expected, getattr(dataset, "notes", ())
    "".join(getattr(dataset, "notes", ())).encode()
    event("read: several samples" if len(found) > 1 else "read: one sample or none")
    return dataset
