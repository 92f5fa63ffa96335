"""Who may read the views alone reads all results: no verb that only reads asks for a table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, make_url, select
from support.report_values import asked, picture, ranked, record, record_fusion
from support.store_values import claimed, finish, queued

import mmlab
from mmlab.cli import main
from mmlab.errors import StoreError
from mmlab.report.contents import VIEWS
from mmlab.store import open_store, tables, views

SHARED = (
    *(("ls",), ("ls", "--json"), ("show", "@last"), ("show", "@last", "--json", "--log")),
    ("show", "emoji", "--sample", "sample-0000"),
    *(("report",), ("report", "--json"), ("report", "--format", "md")),
    *(("report", "--table", name, "--json") for name in VIEWS),
    ("export", "clip-benchmark"),
)


def call(db: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--db", db])


def fill(url: str) -> None:
    """A done run of every kind, failed and waiting ones, and cells without a run."""
    with open_store(url) as store:
        finish(store, claimed(store, "done"))
        store.fail(claimed(store, "failed"), "nan", "not finite\nmore", "Traceback")
        claimed(store, "running")
        store.submit_cells([queued(7, "waiting")])
        for use, inputs in (("gating", ["a", "b"]), ("none", ["a"])):
            record_fusion(store, use, inputs, asked([1, 0, 1]))
        record(store, ranked([1, 2], pictures={"sample-0000": picture("red")}), curve=[2.0, 1.0])


@pytest.fixture
def owned(postgres_url: str) -> str:
    """A filled database as its owner sees it."""
    fill(postgres_url)
    return postgres_url


@pytest.fixture
def reader(owned: str, postgres_server: URL) -> Iterator[str]:
    """The same database as a role sees it that was granted what `mmlab db grants` prints."""
    role, password = f"reader {uuid.uuid4().hex[:8]}", "secret"
    printed = call(owned, "db", "grants", role)
    assert printed.exit_code == 0, printed.output
    plain = make_url(owned).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}'")  # type: ignore[call-overload]
        owner.execute(printed.stdout)  # type: ignore[call-overload]
        yield plain.set(username=role, password=password).render_as_string(hide_password=False)
        owner.execute(f'DROP OWNED BY "{role}"')  # type: ignore[call-overload]
        owner.execute(f'DROP ROLE "{role}"')  # type: ignore[call-overload]


def test_who_may_read_the_views_alone_sees_what_the_owner_sees(owned: str, reader: str) -> None:
    for verb in SHARED:
        own, found = call(owned, *verb), call(reader, *verb)
        assert (found.exit_code, own.exit_code) == (0, 0), (verb, found.output, own.output)
        assert _plain(found.stdout) == _plain(own.stdout), verb
    with mmlab.results(owned) as own_results, mmlab.results(reader) as results:
        for name in ("runs", "cells", "leaderboard", "fusion_gain", "robustness", "labels"):
            assert getattr(results, name)().equals(getattr(own_results, name)())
        assert results.card("emoji", "sample-0000")
        assert results.curves("emoji").height == results.rankings("emoji").height // 5 == 2


def _plain(text: str) -> str:
    """What was printed, without the names of the database's users."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if "postgresql://" not in line)


def test_a_page_is_written_of_the_views_alone(reader: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert call(reader, "report", "--out", str(page)).exit_code == 0
    assert "loss in training" in page.read_text()


def test_a_table_is_refused_in_plain_words(reader: str) -> None:
    with open_store(reader) as store, pytest.raises(StoreError, match="permission denied") as told:
        store.frame(select(tables.runs))
    assert "mmlab db grants" in str(told.value)


def test_who_may_read_nothing_is_told_so(postgres_url: str, postgres_server: URL) -> None:
    role = f"stranger_{uuid.uuid4().hex[:8]}"
    plain = make_url(postgres_url).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")  # type: ignore[call-overload]
        url = plain.set(username=role, password="secret").render_as_string(hide_password=False)
        found = call(url, "ls")
        owner.execute(f"DROP ROLE {role}")  # type: ignore[call-overload]
    assert found.exit_code == 5
    assert "mmlab db grants" in found.stderr


def test_grants_are_printed_and_not_executed(postgres_url: str) -> None:
    printed = call(postgres_url, "db", "grants", 'a "quoted" role').stdout
    assert 'TO "a ""quoted"" role";' in printed
    assert all(f'"{name}"' in printed for name in views.metadata.tables)
    assert '"run_artifacts"' not in printed


def test_a_file_has_no_roles(sqlite_url: str) -> None:
    refused = call(sqlite_url, "db", "grants", "reader")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "has no roles" in refused.stderr


def test_every_view_is_given_as_json_and_as_a_frame(sqlite_url: str) -> None:
    fill(sqlite_url)
    assert VIEWS
    with mmlab.results(sqlite_url) as results:
        for name, view in VIEWS.items():
            rows = json.loads(call(sqlite_url, "report", "--table", name, "--json").stdout)[name]
            frame = getattr(results, name)()
            assert frame.columns == [column.name for column in view.columns]
            assert (len(rows), [*rows[0]]) == (frame.height, frame.columns)
