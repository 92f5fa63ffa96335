"""Rows read into Polars by the store beside `pl.read_database` through SQLAlchemy.

    python benchmarks/read_frames.py [--samples 40000] [--rounds 7]

Both arms read the whole table `rankings` and the view `label_rankings`. CPU is this process'; the
clock also counts the server's work. SQLite and Postgres.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl
from interleaved import databases, keep, measure, show, summarise
from sqlalchemy import Table, select
from support.store_values import claimed, evaluation, finish

from mmlab.records import Rankings
from mmlab.store import Store, open_store, tables, views
from mmlab.store.address import parse_address
from mmlab.store.catalogue import label_set, sample_ids
from mmlab.store.engine import Database
from mmlab.store.write import write_rankings

DEPTH, LABELS = 5, 1000
GOAL = "2.5 times faster on Postgres, 1.2 times on SQLite"


def fill(url: str, samples: int) -> None:
    """One done run whose evaluation has ranked so many samples."""
    with open_store(url) as store:
        finish(store, claimed(store), evaluation())
    generator = np.random.default_rng(0)
    label = generator.integers(0, LABELS, (samples, DEPTH), dtype=np.int32)
    score = generator.random((samples, DEPTH), dtype=np.float32)
    database = Database(parse_address(url))
    with database.write() as connection:
        ids = sample_ids(connection, "benchmark", "test", [f"sample {n}" for n in range(samples)])
        _, labels = label_set(connection, [f"label {n}" for n in range(LABELS)])
        write_rankings(connection, 1, Rankings(label, score), ids, labels)
    database.close()


def compare(store: Store, database: Database, table: Table, rounds: int) -> dict[str, object]:
    query = select(table)

    def read_database() -> pl.DataFrame:
        with database.read() as connection:
            return pl.read_database(query, connection)

    assert store.frame(query).height == read_database().height
    arms = {"store": lambda: store.frame(query), "read_database": read_database}
    return summarise(measure(arms, rounds), "store", "read_database")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    results = {}
    with databases() as urls:
        for kind, url in urls.items():
            fill(url, options.samples)
            database = Database(parse_address(url))
            with open_store(url) as store:
                for table in (tables.rankings, views.label_rankings):
                    measured = compare(store, database, table, options.rounds)
                    results[f"{kind} {table.name}"] = measured
            database.close()
    show(results)
    rows = options.samples * DEPTH
    keep("read-frames", GOAL, results, rows=rows, rounds=options.rounds)


if __name__ == "__main__":
    main()
