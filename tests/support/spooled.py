"""Runs that are recorded through a spool, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, select, update

from mmlab.records import MetricPoint
from mmlab.runner.writer import RunWriter, Sealed
from mmlab.store import Claim, Store
from mmlab.store.address import parse_address
from mmlab.store.tables import metrics, runs
from support.store_values import artifact, evaluation


@dataclass
class Recording:
    """A writer and what it has said."""

    writer: RunWriter
    said: list[str] = field(default_factory=list)


@contextmanager
def recording(store: Store, claim: Claim, folder: Path, **options: float) -> Iterator[Recording]:
    """A writer that waits for half a second at the end, unless told otherwise."""
    said: list[str] = []
    given = {"patience_seconds": 0.5, **options}
    with RunWriter(store, claim, folder, (), said.append, **given) as writer:  # type: ignore[arg-type]
        yield Recording(writer, said)


def steps(first: int, last: int) -> Iterator[list[MetricPoint]]:
    """What one emission after the other says: at step n the loss is 1 / n."""
    for step in range(first, last + 1):
        yield [MetricPoint("train/loss", step, 1 / step)]


def finish(writer: RunWriter) -> Sealed | None:
    """Record a result and the best weights, and that the run is done."""
    result, run_id = evaluation(), writer.claim.run_id
    return writer.finish([result], {result.name: f"of {run_id}"}, [artifact(run_id)], {}, 7)


def curve(store: Store, run_id: str) -> dict[int, float]:
    """Values of the loss by step; each step must be there once."""
    is_point = metrics.c.evaluation_id.is_(None)
    query = select(metrics.c.step, metrics.c.value).where(metrics.c.run_id == run_id, is_point)
    frame = store.frame(query).sort("step")
    assert frame["step"].is_unique().all()
    return dict(frame.rows())


def losses(last: int) -> dict[int, float]:
    """The whole curve, up to a step."""
    return {step: 1 / step for step in range(1, last + 1)}


def take_over(url: str, claim: Claim, **changed: object) -> None:
    """Give the run to another worker, as if its lease had run out."""
    engine = create_engine(parse_address(url).url)
    values = {"worker": "another", "fence": runs.c.fence + 1, **changed}
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == claim.run_id).values(values))
    engine.dispose()


def spools(folder: Path) -> list[str]:
    """Names of the files there are."""
    return sorted(path.name for path in folder.glob("spool/*"))
