"""A damaged database ends in words that name table, row and column, or is not noticed at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, select, update
from support.damaged import NO_JSON, Damage, apply, damages, make_database
from support.store_values import identity

from mmlab.cli import main
from mmlab.errors import StoreError
from mmlab.report.results import Results, results
from mmlab.store import open_store
from mmlab.store.address import parse_address
from mmlab.store.bulk import is_json
from mmlab.store.damage import find_damage
from mmlab.store.tables import metadata, runs

#: Numbers that are compared in SQL and never read: a row that has another is no part of anything.
JOINED = {"id", "spec_id", "run_id", "evaluation_id", "sample_id", "label_id", "label_set_id"} | {
    *("metric_declaration_id", "top_label_id", "truth_id", "predicted_id", "picture_id"),
}
#: Where a lookup finds nothing, as if there were none; and what is not 0 is true.
LOOKED_UP = {
    *(("identities", "hash"), ("properties", "key"), ("thumbnails", "place")),
    *(("pictures", "hash"), ("pictures", "size_bytes"), ("pictures", "image")),
    *(("evaluation_parts", "evaluation_hash"), ("queue", "cell_id"), ("queue", "status")),
    ("queue", "rerun"),
}
TABLES = sorted({damage.table for damage in damages()} - {"queue"})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with rows in every table, in one file."""
    path = tmp_path_factory.mktemp("sound") / "mmlab.db"
    make_database(path)
    with closing(sqlite3.connect(path)) as driver:
        driver.execute("PRAGMA journal_mode = DELETE")
    return path


READERS: list[Callable[[Results], object]] = [
    lambda found: found.store.runs(),
    lambda found: [found.store.run_detail(run.run_id) for run in found.store.runs()],
    lambda found: found.store.best_weights([run.run_id for run in found.store.runs()]),
    lambda found: found.store.contents(["group-one"]),
    lambda found: found.store.queued_cells(),
    lambda found: found.store.parts(found.store.find_run("emoji").run_id, "hash"),
    lambda found: (found.store.database_id, found.store.runs_token),
    lambda found: found.store.run_statuses(),
    lambda found: found.store.artifact_paths(),
    lambda found: found.runs().to_dicts(),
    lambda found: found.cells().to_dicts(),
    lambda found: found.leaderboard().to_dicts(),
    lambda found: found.curves("@last").to_dicts(),
    lambda found: found.rankings("@last").to_dicts(),
    lambda found: found.labels().to_dicts(),
    lambda found: found.card("@last", "a"),
    lambda found: found.all_runs().drop("seconds").to_dicts(),
    lambda found: (found.label_results().to_dicts(), found.sample_outcomes().to_dicts()),
    lambda found: (found.live_curves().to_dicts(), found.artifacts().to_dicts()),
    lambda found: found.failures().to_dicts(),
    lambda found: found.store.submit(identity(seed=1)),
]


def read(path: Path) -> Iterator[str]:
    """What each reader says."""
    with results(path) as found:
        for reader in READERS:
            yield str(reader(found))


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_read_rightly_or_the_damage_named(
    table: str, sound: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mmlab.db"
    shutil.copy(sound, path)
    good = list(read(path))
    for number, damage in enumerate(damages()):
        column = metadata.tables[damage.table].c[damage.column]
        if damage.table != table or number % (3 if is_json(column) else 5):
            continue
        shutil.copy(sound, path)
        apply(damage, path)
        try:
            said = list(read(path))
        except StoreError as error:
            check_words(damage, str(error))
        else:
            is_key = damage.column in JOINED or (damage.table, damage.column) in LOOKED_UP
            assert said == good or is_key, damage
        finally:
            for left in tmp_path.glob("mmlab.db*"):
                left.unlink()


def check_words(damage: Damage, message: str) -> None:
    headline = message.splitlines()[0]
    assert f"table {damage.table}, row " in headline, (damage, message)
    assert damage.column in headline, (damage, message)
    assert all(part in message for part in ("found: ", "allowed: ", "next: restore"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("show", "@last", "--json"),
        ("report", "--json"),
        ("report", "--out", "page.html"),
        ("show", "@last", "--sample", "a"),
    ],
)
def test_a_command_ends_in_words(
    arguments: tuple[str, ...], sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damage = Damage("runs", "axes", "[1]")
    if "--sample" in arguments:
        damage = Damage("evaluations", "templates", '{"a": 1}')
    shutil.copy(sound, "mmlab.db")
    apply(damage, Path("mmlab.db"), everywhere=True)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 5, done.output
    assert "Traceback" not in done.stderr
    check_words(damage, done.stderr)
    assert not Path("page.html").exists()


@pytest.mark.parametrize("written", NO_JSON)
def test_a_damaged_text_on_a_server_is_named_too(written: str, postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        run = store.submit(identity())
    engine = create_engine(parse_address(postgres_url).url)
    with engine.begin() as connection:
        connection.execute(update(runs).values(summary=written))
    engine.dispose()
    with open_store(postgres_url) as store:
        with pytest.raises(StoreError) as caught:
            store.run_detail(run.run_id)
        with pytest.raises(StoreError):
            store.frame(select(runs.c.summary))
    headline = str(caught.value).splitlines()[0]
    assert f"table runs, row id {run.run_id}, column summary: the database is damaged" in headline


def test_an_error_of_another_kind_stays_what_it_is(sound: Path) -> None:
    with pytest.raises(KeyError, match="mine"), open_store(str(sound)):
        raise KeyError("mine")


def test_a_hash_tells_of_a_changed_protocol(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "mmlab.db"
    shutil.copy(sound, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE evaluations SET protocol = replace(protocol, 'zero', 'Zero')")
    with pytest.raises(StoreError, match="columns protocol_hash, protocol"), open_store(str(path)):
        raise KeyError("options")


def test_nothing_is_found_in_a_sound_database(sound: Path, database_url: str) -> None:
    for url in (str(sound), database_url):
        with open_store(url) as store, store._database.engine.connect() as connection:
            assert find_damage(connection, parse_address(url)) is None


def test_damage_of_pages_is_said(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "mmlab.db"
    whole = sound.read_bytes()
    for start in range(4096, len(whole), 8 * 4096):
        path.write_bytes(whole[:start] + b"\xa5" * 4096 + whole[start + 4096 :])
        with suppress(StoreError):  # nothing else is raised; a free page is not noticed
            list(read(path))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="from a copy"):
        list(read(path))
