"""A database that cannot be used: five parts, exit code 5, no secret, nothing written."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import URL, create_engine, make_url
from support.postgres_server import create_database, drop_database
from support.store_values import claimed, dump, evaluation, finish, identity

from mmlab.errors import StoreError
from mmlab.records import SkippedSample
from mmlab.store import open_store
from mmlab.store.address import parse_address
from mmlab.store.migrate import current, upgrade

CANARY = "CANARY-p@ss/w%rd"
#: What this process has open, a link each.
DESCRIPTORS = Path("/proc/self/fd")


def _refused(act: Callable[..., object], *arguments: object, **options: object) -> str:
    """The message of the StoreError that the act raises; its parts and its silence are checked."""
    with pytest.raises(StoreError) as caught:
        act(*arguments, **options)
    message = str(caught.value)
    assert caught.value.exit_code == 5
    assert all(part in message for part in (": ", "found: ", "allowed: ", "next: ")), message
    assert "CANARY" not in "".join(f"{error!s}{error!r}" for error in _chain(caught.value))
    return message


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "mmlab.db"
    assert "mmlab db init" in _refused(open_store, str(path))
    assert not path.exists()


def test_a_missing_file_is_created_when_asked_for(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "mmlab.db"), create=True) as store:
        assert store.is_new
        assert store.runs_folder == tmp_path / "mmlab-runs"
    with open_store(str(tmp_path / "mmlab.db"), create=True) as store:
        assert not store.is_new


def begun(path: Path) -> None:
    """What another process has made when it sets out to make the tables."""
    driver = sqlite3.connect(path)
    driver.execute("PRAGMA journal_mode = WAL")
    driver.close()
    assert path.stat().st_size


@pytest.mark.parametrize("make", [Path.touch, begun])
def test_a_file_whose_making_was_cut_short_is_made_again(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "mmlab.db"
    make(path)
    assert "mmlab db init" in _refused(open_store, str(path))
    with open_store(str(path), create=True) as store:
        assert store.is_new
        assert store.run_statuses() == {}
    with open_store(str(path), create=True) as store:
        assert not store.is_new


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as driver:
        driver.execute("CREATE TABLE letters (sent TEXT)")
    before = path.read_bytes()
    for act in (open_store, upgrade):
        message = _refused(act, str(path))
        assert "tables of another program" in message
        assert "found: letters\n" in message
    assert path.read_bytes() == before


@pytest.mark.parametrize("mark", ["application_id", "user_version"])
def test_a_file_without_tables_that_another_program_marked_is_its_own(
    tmp_path: Path, mark: str
) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as driver:
        driver.execute(f"PRAGMA {mark} = 252006673")
    before = path.read_bytes()
    for act in (open_store, upgrade):
        assert f"found: {mark} = 252006673\n" in _refused(act, str(path))
    assert path.read_bytes() == before
    assert upgrade(str(path), beside_others=True).backup is not None
    with open_store(str(path)) as store:
        assert store.run_statuses() == {}


def test_another_programs_file_is_given_tables_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as driver:
        driver.execute("CREATE TABLE alembic_version (version_num TEXT)")
        driver.execute("INSERT INTO alembic_version VALUES ('0005')")
        driver.execute("CREATE VIEW letters AS SELECT version_num FROM alembic_version")
        driver.commit()
    assert "mmlab db init --force" in _refused(upgrade, str(path))
    done = upgrade(str(path), beside_others=True)
    assert done.before is None
    assert done.backup is not None
    with closing(sqlite3.connect(done.backup)) as driver:
        assert driver.execute("SELECT name FROM sqlite_schema").fetchall() == [
            ("alembic_version",),
            ("letters",),
        ]
    with open_store(str(path)) as store:
        assert store.submit(identity()).status == "queued"
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("SELECT version_num FROM letters").fetchall() == [("0005",)]


def test_tables_called_like_ours_are_never_written_into(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as driver:
        driver.execute("CREATE TABLE runs (id INTEGER)")
        driver.execute("CREATE TABLE letters (sent TEXT)")
    before = path.read_bytes()
    message = _refused(upgrade, str(path), beside_others=True)
    assert "found: runs\n" in message
    assert "--force" not in message
    assert path.read_bytes() == before


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").mkdir()
    path, link = tmp_path / "real" / "mmlab.db", tmp_path / "linked" / "other.db"
    link.symlink_to("../real/mmlab.db")
    with open_store(str(link), create=True) as store:  # made through the link
        held = claimed(store)
        finish(store, held)
        assert path.is_file()
        with open_store(str(path)) as other:
            assert store.runs_folder == other.runs_folder == tmp_path / "real" / "mmlab-runs"
            assert store.cache_folder == other.cache_folder == tmp_path / "real" / "mmlab-cache"
            assert other.run_detail(held.run_id).run.status == "done"
    assert list((tmp_path / "linked").iterdir()) == [link]


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert "a folder" in _refused(open_store, str(tmp_path))
    assert "a folder" in _refused(open_store, str(tmp_path), create=True)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "mmlab.db"
    assert "make the folder" in _refused(open_store, str(path), create=True)


def test_another_file_is_no_database_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 100)
    for create in (False, True):
        assert "not a database" in _refused(open_store, str(path), create=create)
    assert path.read_text() == "these are my notes\n" * 100


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="the system does not list open files")
def test_a_file_that_is_no_database_is_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes\n" * 100)
    with pytest.raises(StoreError) as caught:
        open_store(str(path))
    assert caught.tb is not None  # what its frames hold is still alive, and a connection is closed
    assert not any(each.resolve() == path for each in DESCRIPTORS.iterdir())


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE runs (id INTEGER)")
    other.close()
    before = path.read_bytes()
    for create in (False, True):
        assert "tables of another program" in _refused(open_store, str(path), create=create)
    message = _refused(upgrade, str(path))
    assert "found: runs\n" in message
    assert "next: name another database" in message
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        ":memory:",
        "sqlite://",
        "sqlite:///",
        "sqlite:///mmlab.db?mode=memory",
        "mysql://user:CANARY@localhost/mmlab",
        "postgresql://user:CANARY@host:port/mmlab",
        "postgresql://user:CANARY@host:123CANARY/mmlab",
        "postgresql+asyncpg://user:CANARY@localhost/mmlab",
        "://CANARY",
        "mm\0lab.db",
    ],
)
def test_an_address_of_another_form_is_refused(url: str) -> None:
    _refused(open_store, url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:CANARY@host/db",
        "postgres://user:CANARY@host/db",
        "postgresql+psycopg://user@host/db?password=CANARY",
        "postgresql://user:CANARY@host/db?sslpassword=CANARY&sslmode=require",
    ],
)
def test_an_address_shows_no_secret(url: str) -> None:
    address = parse_address(url)
    assert "CANARY" not in f"{address} {address!r} {address.display}"
    assert address.display.startswith("postgresql://user@host/db")
    assert address.url.password == "CANARY"
    assert address.redact("it was CANARY") == "it was ***"


def test_a_wrong_password_is_refused_without_showing_it(postgres_url: str) -> None:
    url = make_url(postgres_url)
    if _is_let_in(url.set(password="wrong")):
        pytest.skip("the given server asks for no password")
    wrong = url.set(password=CANARY).render_as_string(hide_password=False)
    message = _refused(open_store, wrong)
    assert "user and password" in message
    assert CANARY not in message
    in_query = url._replace(password=None).update_query_dict({"password": CANARY})
    assert "user and password" in _refused(
        lambda: open_store(in_query.render_as_string(hide_password=False))
    )


def test_a_failure_is_kept_without_the_password(postgres_url: str) -> None:
    password = str(make_url(postgres_url).password)
    address = make_url(postgres_url).set(username="me").render_as_string(hide_password=False)
    with open_store(postgres_url) as store:
        held = claimed(store)
        said = f"a component failed with {address}"
        store.fail(held, "error", said, f"Traceback: {said}\n'postgresql://you:a@b/c@host/db'")
        attempt = store.run_detail(held.run_id).attempts[-1]
        error = store.run_detail(held.run_id).run.error
    kept = f"{attempt.message} {attempt.traceback} {error}"
    assert kept.count("a component failed with postgresql+psycopg://me:***@") == 3
    assert password not in kept
    assert "postgresql://you:***@host/db" in kept


def test_what_a_dataset_says_of_a_sample_is_kept_without_the_password(sqlite_url: str) -> None:
    said = "no row in postgresql://me:CANARY@host/db"
    with open_store(sqlite_url) as store:
        held = claimed(store)
        store.finish(held, [], {}, skipped=[SkippedSample("revision", "test", 0, "a", said)])
        kept = store.frame("SELECT reason FROM skipped_samples", {"reason": pl.String()})
    assert kept["reason"].to_list() == ["no row in postgresql://me:***@host/db"]


def _is_let_in(url: URL) -> bool:
    engine = create_engine(url)
    try:
        engine.connect().close()
    except Exception:  # whatever the driver says, it was not let in
        return False
    return True


def test_a_missing_postgres_database_is_not_created(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nothing_here")
    message = _refused(open_store, url.render_as_string(hide_password=False), create=True)
    assert "createdb" in message


def test_an_unreachable_server_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    message = _refused(open_store, f"postgresql://u:CANARY@127.0.0.1:{port}/mmlab")
    assert f"postgresql://u@127.0.0.1:{port}/mmlab: " in message
    assert "start the server" in message


@pytest.mark.parametrize(
    ("revision", "word", "step"),
    [("0000", "older", "mmlab db upgrade --db"), ("9999", "newer", "pip install --upgrade mmlab")],
)
def test_another_revision_names_the_one_command(
    database_url: str, revision: str, word: str, step: str
) -> None:
    engine = create_engine(parse_address(database_url).url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE mmlab_alembic_version SET version_num = '{revision}'")
    engine.dispose()
    for create in (False, True):
        message = _refused(open_store, database_url, create=create)
        assert word in message
        assert f"found: revision {revision}" in message
        assert step in message
    assert current(database_url) == revision


def test_a_newer_database_is_not_upgraded(sqlite_url: str) -> None:
    with sqlite3.connect(parse_address(sqlite_url).url.database or "") as driver:
        driver.execute("UPDATE mmlab_alembic_version SET version_num = '9999'")
    driver.close()
    assert "newer" in _refused(upgrade, sqlite_url)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_unicode_is_refused(
    postgres_server: URL, encoding: str
) -> None:
    url = create_database(postgres_server, f"in_{encoding.lower()}", encoding=encoding)
    given = url.render_as_string(hide_password=False)
    try:
        for act in (upgrade, current, open_store):
            message = _refused(act, given)
            assert f"found: encoding {encoding}" in message
            assert (
                f"createdb --encoding=UTF8 --template=template0 in_{encoding.lower()}_u" in message
            )
            assert f"/in_{encoding.lower()}_utf8" in message.splitlines()[-1]
    finally:
        drop_database(postgres_server, str(url.database))


def test_the_command_that_a_refusal_names_makes_a_database(postgres_server: URL) -> None:
    """What createdb does with these options, by SQL; the server's own tools are elsewhere."""
    url = create_database(postgres_server, "advised_utf8", encoding="UTF8")
    try:
        assert upgrade(url.render_as_string(hide_password=False)).before is None
    finally:
        drop_database(postgres_server, "advised_utf8")


@pytest.mark.parametrize("name", ["LATIN1", "SQL_ASCII"])
def test_text_is_unicode_whatever_the_environment_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", name)
    with open_store(postgres_url) as store:
        held = claimed(store)
        store.fail(held, "error", "\N{PARROT} \u65e5\u672c", "")
        assert store.run_detail(held.run_id).run.error == "\N{PARROT} \u65e5\u672c"
        frame = store.frame("SELECT message FROM attempts", {"message": pl.String()})
    assert frame["message"].to_list() == ["\N{PARROT} \u65e5\u672c"]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_sqlite_file_in_utf_16_is_used_as_it_is(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mmlab.db"
    with closing(sqlite3.connect(path)) as driver:
        driver.execute(f"PRAGMA encoding = '{encoding}'")
        driver.execute("CREATE TABLE gone (x)")
        driver.execute("DROP TABLE gone")
    upgrade(str(path))
    with open_store(str(path)) as store:
        held = claimed(store)
        finish(store, held, evaluation(labels=["\N{PARROT}", "\u65e5\u672c", "c"]))
        assert store.run_detail(held.run_id).run.status == "done"
        frame = store.frame("SELECT text FROM labels ORDER BY position", {"text": pl.String()})
    assert frame["text"].to_list() == ["\N{PARROT}", "\u65e5\u672c", "c"]
    with closing(sqlite3.connect(path)) as driver:
        assert driver.execute("PRAGMA encoding").fetchone() == (encoding,)


def test_tables_of_others_stay_on_a_server_unless_they_are_called_like_ours(
    empty_postgres_url: str,
) -> None:
    engine = create_engine(empty_postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (id INTEGER)")
    assert "found: runs\n" in _refused(upgrade, empty_postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE runs RENAME TO letters")
    engine.dispose()
    assert upgrade(empty_postgres_url).before is None


def test_an_empty_postgres_database_names_the_command(postgres_server: URL) -> None:
    url = postgres_server.render_as_string(hide_password=False)
    assert "mmlab db init" in _refused(open_store, url, create=True)


def test_a_read_only_file_is_refused_for_writing(sqlite_template: Path) -> None:
    content = sqlite_template.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mmlab.db"
        path.write_bytes(content)
        path.chmod(0o444)
        Path(name).chmod(0o555)
        user = os.geteuid()
        os.seteuid(65534 if user == 0 else user)
        try:
            message = _refused(lambda: open_store(str(path)).submit(identity()))
        finally:
            os.seteuid(user)
            Path(name).chmod(0o755)
        assert "writable" in message
        assert path.read_bytes() == content


def test_a_read_only_server_is_refused_for_writing(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict(
        {"options": "-c default_transaction_read_only=on"}
    )
    with open_store(url.render_as_string(hide_password=False)) as store:
        assert store.runs() == []
        assert "may write" in _refused(lambda: store.submit(identity()))


def test_a_locked_database_is_an_error_in_plain_words(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmlab.store.engine.BUSY_SECONDS", 0.1)
    path = parse_address(sqlite_url).url.database or ""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_store(sqlite_url) as store:
        assert "wait until the other process" in _refused(lambda: claimed(store))
    other.close()


def test_a_full_disk_records_nothing_and_says_what_to_do(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        held = claimed(store)
        before = dump(sqlite_url)
        with store._database.untransacted() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            pages = driver.execute("PRAGMA page_count").fetchone()[0]
            driver.execute(f"PRAGMA max_page_count = {pages + 2}")
        big = evaluation(labels=[f"{number} " + "x" * 9000 for number in range(50)])
        assert "free some space" in _refused(lambda: finish(store, held, big))
        assert dump(sqlite_url) == before
