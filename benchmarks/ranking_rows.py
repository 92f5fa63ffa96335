"""Ranking rows written by the store beside SQLAlchemy's `Session.add_all` of the same rows.

    python benchmarks/ranking_rows.py [--samples 20000] [--rounds 5]

Both arms start from the arrays an evaluator gives, write into the table `rankings` with its primary
key, and commit. CPU is this process'; the clock also counts the server's work. SQLite and Postgres.
"""

from __future__ import annotations

import argparse

import numpy as np
from interleaved import databases, keep, measure, show, summarise
from sqlalchemy import delete
from sqlalchemy.orm import DeclarativeBase, Session
from support.store_values import claimed, evaluation, finish

from mmlab.records import Rankings
from mmlab.store import open_store, tables
from mmlab.store.address import parse_address
from mmlab.store.catalogue import Ids, label_set, sample_ids
from mmlab.store.engine import Database
from mmlab.store.write import write_rankings

DEPTH, LABELS = 5, 1000
GOAL = "20 times faster on SQLite, 40 times on Postgres"


class Base(DeclarativeBase):
    """The store's own tables, mapped."""

    metadata = tables.metadata


class Ranking(Base):
    """One ranking row as an object."""

    __table__ = tables.rankings


class Target:
    """One database with an evaluation to rank for, and the two ways to write."""

    def __init__(self, url: str, samples: int) -> None:
        with open_store(url) as store:
            finish(store, claimed(store), evaluation())
        self.database = Database(parse_address(url))
        generator = np.random.default_rng(0)
        labels = generator.integers(0, LABELS, (samples, DEPTH), dtype=np.int32)
        scores = generator.random((samples, DEPTH), dtype=np.float32)
        self.ranked = Rankings(labels, scores)
        with self.database.write() as connection:
            ids = [f"sample {number}" for number in range(samples)]
            self.samples: Ids = sample_ids(connection, "benchmark", "test", ids)
            _, self.labels = label_set(connection, [f"label {n}" for n in range(LABELS)])
            connection.execute(delete(tables.rankings))

    def clear(self) -> None:
        """Remove every row again."""
        with self.database.write() as connection:
            connection.execute(delete(tables.rankings))

    def store(self) -> None:
        """Write as `Store.finish` does."""
        with self.database.write() as connection:
            write_rankings(connection, 1, self.ranked, self.samples, self.labels)

    def add_all(self) -> None:
        """Write an object per row."""
        with self.database.write() as connection, Session(connection) as session:
            session.add_all(
                Ranking(evaluation_id=1, sample_id=sample, rank=rank, label_id=label, score=score)
                for sample, labels, scores in zip(
                    self.samples.tolist(),
                    self.labels[self.ranked.label].tolist(),
                    self.ranked.score.tolist(),
                    strict=True,
                )
                for rank, (label, score) in enumerate(zip(labels, scores, strict=True), start=1)
            )
            session.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    results = {}
    with databases() as urls:
        for kind, url in urls.items():
            target = Target(url, options.samples)
            # Emptying the table is an arm of its own so that it is not counted.
            arms = {
                "store": target.store,
                "empty it": target.clear,
                "add_all": target.add_all,
                "empty it again": target.clear,
            }
            spent = measure(arms, options.rounds)
            both = {name: spent[name] for name in ("store", "add_all")}
            results[kind] = summarise(both, "store", "add_all")
            target.database.close()
    show(results)
    rows = options.samples * DEPTH
    keep("ranking-rows", GOAL, results, rows=rows, rounds=options.rounds)


if __name__ == "__main__":
    main()
