"""Upgrades that are killed, that meet each other, and that find no space or somebody in the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection
from support.full_disk import largest_file
from support.old_databases import EVERYTHING, OLDER, OldDatabases
from support.proxy import proxied
from support.snapshots import Snapshot, snapshot
from support.upgrades import Upgrades, upgrading

from mmlab.errors import StoreError
from mmlab.store.address import parse_address
from mmlab.store.engine import Database
from mmlab.store.migrate import _is_in_the_way, current, lock, upgrade, write_docs
from mmlab.store.tables import REVISION

#: An upgrade from the oldest passes through every migration; of another the end is enough.
KILLED = OLDER if EVERYTHING else sorted({OLDER[0], OLDER[-1]})
LAST = ("COMMIT", "checkin")
SOME = ("VACUUM", "replace", "CREATE", "UPDATE", "INSERT", *LAST)


@pytest.fixture(scope="module")
def upgrades() -> Iterator[Upgrades]:
    """A process that upgrades in children of its own."""
    with upgrading() as started:
        yield started


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OldDatabases:
    """Databases of before, on SQLite and on Postgres."""
    is_file = request.param == "sqlite"
    server = None if is_file else request.getfixturevalue("postgres_server")
    return OldDatabases(tmp_path_factory.mktemp("old"), server)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> OldDatabases:
    """Databases of before on SQLite alone."""
    return OldDatabases(tmp_path_factory.mktemp("old"), None)


def chosen(steps: Sequence[str], revision: str) -> Sequence[int]:
    """The steps before which to kill: all, or the last one of some kinds."""
    if EVERYTHING:
        return range(1, len(steps) + 1)
    last = {kind: number for number, kind in enumerate(steps, start=1)}
    kinds = SOME if revision == OLDER[0] else LAST
    return sorted(last[kind] for kind in kinds if kind in last)


@pytest.mark.slow
@pytest.mark.parametrize("revision", KILLED)
def test_a_killed_upgrade_leaves_all_old_or_all_new(
    old: OldDatabases, upgrades: Upgrades, revision: str
) -> None:
    before, after = old.upgraded(revision)
    with old.copy(revision) as url:
        (whole,) = upgrades.run(url)
    assert {"SELECT", "INSERT", "UPDATE", "COMMIT"} <= set(whole.steps)
    assert {"CREATE", "ALTER"} & set(whole.steps), "the schema changes"
    left = set[str]()
    for number in chosen(whole.steps, revision):
        with old.copy(revision) as url:
            (killed,) = upgrades.run(url, kill_at=number)
            assert killed.signal == 9
            found = snapshot(url)
            assert found in (before, after), f"step {number}: {whole.steps[number - 1]}"
            left.add("old" if found == before else "new")
            _check_copies(url, before, killed=True)
            (again,) = upgrades.run(url)
            assert again.error is None
            assert again.before == (revision if found == before else REVISION)
            assert snapshot(url) == after
            _check_copies(url, before)
    assert left == {"old", "new"}


def _check_copies(url: str, before: Snapshot, *, killed: bool = False) -> None:
    """Each copy is whole; what is none yet has no such name, and is gone in the end."""
    if (path := parse_address(url).path) is None:
        return
    for copy in path.parent.glob("*.backup"):
        assert snapshot(str(copy)) == before
    if not killed:
        assert sorted(path.parent.glob(".*")) == []


@pytest.mark.slow
def test_of_six_processes_one_upgrades_and_the_others_wait(
    old: OldDatabases, upgrades: Upgrades
) -> None:
    for number in range(5):
        revision = OLDER[number % len(OLDER)]
        before, after = old.upgraded(revision)
        with old.copy(revision) as url:
            ended = upgrades.run(url, processes=6)
            assert [one.error for one in ended] == [None] * 6
            assert sorted(str(one.before) for one in ended) == [revision, *[REVISION] * 5]
            assert snapshot(url) == after
            copies = [one.backup for one in ended if one.backup]
            _check_copies(url, before)
            if path := parse_address(url).path:
                assert copies == [str(copy) for copy in path.parent.glob("*.backup")]
                assert len(copies) == 1
            else:
                assert copies == []


@pytest.mark.slow
def test_of_six_processes_one_makes_the_tables(empty_database_url: str, upgrades: Upgrades) -> None:
    ended = upgrades.run(empty_database_url, processes=6)
    assert [one.error for one in ended] == [None] * 6
    assert sorted(str(one.before) for one in ended) == [*[REVISION] * 5, "None"]
    assert {one.backup for one in ended} == {None}
    assert current(empty_database_url) == REVISION


def test_whoever_waited_sees_what_was_done_meanwhile_whatever_the_server_isolates(
    postgres_server: URL, tmp_path: Path, upgrades: Upgrades
) -> None:
    with OldDatabases(tmp_path, postgres_server).copy(OLDER[0]) as url:
        strict = f"{url}?options=-c%20default_transaction_isolation%3Dserializable"
        ended = upgrades.run(strict, processes=3)
    assert [one.error for one in ended] == [None] * 3


@pytest.mark.parametrize("patience", [0, 60])
def test_an_upgrade_waits_longer_than_other_commands_do(
    old: OldDatabases, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine", "migrate"):
        monkeypatch.setattr(f"mmlab.store.{module}.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("mmlab.store.migrate._PATIENCE_SECONDS", patience)
    with old.copy(OLDER[-1]) as url, _held(url) as release:

        def noticed(cause: BaseException | None) -> bool:
            found = _is_in_the_way(cause)
            release()
            return found

        monkeypatch.setattr("mmlab.store.migrate._is_in_the_way", noticed)
        impatient = url if old.are_files else f"{url}?options=-c%20lock_timeout%3D100"
        if patience:
            assert upgrade(impatient).before == OLDER[-1]
        else:
            with pytest.raises(StoreError, match="wait until the other process is done"):
                upgrade(impatient)
        assert current(url) == (REVISION if patience else OLDER[-1])


@contextmanager
def _held(url: str) -> Iterator[Callable[[], None]]:
    """Another's transaction that an upgrade must wait for, and what ends it."""
    database = Database(parse_address(url))
    with database.untransacted() as connection:
        connection.begin()
        lock(connection)
        yield connection.rollback
    database.close()


@pytest.mark.parametrize("how", ["loses", "swallows"])
def test_an_upgrade_whose_commit_is_lost_is_looked_up_and_done_once(
    postgres_server: URL, tmp_path: Path, how: str
) -> None:
    old = OldDatabases(tmp_path, postgres_server)
    _, after = old.upgraded(OLDER[-1])
    with old.copy(OLDER[-1]) as url, proxied(url) as (proxy, through):
        setattr(proxy, how, 1)
        done = upgrade(through)
        assert getattr(proxy, how) == 0
        assert (done.before, done.after, done.backup) == (OLDER[-1], REVISION, None)
        assert snapshot(url) == after


def test_an_upgrade_that_is_cut_off_is_begun_again(
    postgres_server: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, cuts = OldDatabases(tmp_path, postgres_server), list[str]()
    _, after = old.upgraded(OLDER[-1])
    with old.copy(OLDER[-1]) as url, proxied(url) as (proxy, through):

        def written(connection: Connection) -> None:
            if not cuts:
                cuts.append("amid the migration")
                proxy.cut()
            write_docs(connection)

        monkeypatch.setattr("mmlab.store.migrate.write_docs", written)
        assert upgrade(through).before == OLDER[-1]
        assert cuts
        assert snapshot(url) == after


def test_the_copy_is_as_private_as_the_database(files: OldDatabases) -> None:
    with files.copy(OLDER[0]) as url:
        path = parse_address(url).path
        assert path is not None
        path.chmod(0o600)
        copy = upgrade(url).backup
        assert copy is not None
        assert copy.stat().st_mode & 0o777 == 0o600
        assert snapshot(str(copy)) == files.upgraded(OLDER[0])[0]


def test_without_space_for_a_copy_nothing_is_upgraded(files: OldDatabases) -> None:
    with files.copy(OLDER[0]) as url:
        path = parse_address(url).path
        assert path is not None
        with (
            largest_file(path.stat().st_size // 2),
            pytest.raises(StoreError, match="copy cannot be written"),
        ):
            upgrade(url)
        assert snapshot(url) == files.upgraded(OLDER[0])[0]
        assert sorted(one.name for one in path.parent.iterdir()) == ["mmlab.db"]


def test_without_a_right_to_write_a_copy_nothing_is_upgraded(
    files: OldDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, *_: object) -> int:
        raise PermissionError(13, "Permission denied", path)

    with files.copy(OLDER[0]) as url:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            with pytest.raises(StoreError, match="is copied, and the copy cannot be written"):
                upgrade(url)
        assert snapshot(url) == files.upgraded(OLDER[0])[0]
