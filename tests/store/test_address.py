"""Addresses of databases: what each part is read as, and that no part of a password is shown."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from support.secret_addresses import CANARY, REFUSED, UNREACHABLE

from mmlab import files
from mmlab.errors import StoreError
from mmlab.store import open_store
from mmlab.store.address import check_file, parse_address

#: Passwords by what is odd about them; in an address all but a `%41` stand as they are.
PASSWORDS = [
    "firstpart@secondpart",
    "firstpart@second@thirdpart",
    "firstpart/secondpart",
    "firstpart@second/thirdpart",
    "firstpart#secondpart",
    "firstpart?secondpart",
    "firstpart:secondpart",
    "firstpart%secondpart",
    "firstpart secondpart",
    "firstpart[secondpart]",
    "firstpart&second=part",
    "@firstpart/:secondpart@",
]


def shown(text: str) -> str:
    """All that anybody sees of an address, or of why it is none."""
    try:
        address = parse_address(text)
    except StoreError as error:
        behind = None if error.__suppress_context__ else error.__context__
        return f"{error!s} {error!r} {error.__cause__!r} {behind!r}"
    return f"{address} {address!r} {address.display}"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_ends_at_the_last_at_sign(scheme: str, password: str) -> None:
    address = parse_address(f"{scheme}://me:{password}@host:5433/db?sslmode=require")
    assert address.url.password == password
    assert (address.url.username, address.url.host, address.url.port) == ("me", "host", 5433)
    assert address.display == "postgresql://me@host:5433/db?sslmode=require"


def test_settings_of_the_server_itself_are_shown() -> None:
    address = parse_address("postgresql://me@host/db?options=-c%20search_path%3Dteam")
    assert address.display.endswith("?options=-c+search_path%3Dteam")
    assert address.url.query["options"] == "-c search_path=team"


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("option", ["password", "sslpassword", "scram_client_key"])
def test_a_password_among_the_options_is_not_shown(option: str, password: str) -> None:
    text = f"postgresql://me@host/db?sslmode=require&{option}={quote(password, safe='')}"
    address = parse_address(text)
    assert address.display == "postgresql://me@host/db?sslmode=require"
    found = address.url.password if option == "password" else address.url.query[option]
    assert found == password
    assert not any(part in shown(text) for part in ("firstpart", "secondpart", "thirdpart"))


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_message_of_a_driver_is_cleaned_however_it_writes_the_password(password: str) -> None:
    address = parse_address(f"postgresql://me:{quote(password, safe='')}@host/db")
    for spelled in (password, quote(password), quote(password, safe=""), quote_plus(password)):
        said = address.redact(f'could not read "{spelled}" of {spelled}')
        assert "firstpart" not in said
        assert "secondpart" not in said


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:SECRET@host/db?pasword=SECRET",
        "postgresql://me@host/db?passwd=SECRET",
        "postgresql://me@host/db?PASSWORD=SECRET",
        "postgresql://me@host/db?pwd=SECRET@SECRET",
        "postgresql://me@host:5432/db?pwd=SECRET@SECRET",
        "postgresql://me@host/db?password=a&SECRET=b",
        "postgresql://me@host/db?password=a&SECRET",
        "postgresql://me@host/db?password=SECRET&password=SECRET",
        "postgresql://me:SECRET@host/db?password=SECRET",
        "postgresql://me:SECRET?pwd=SECRET@host/db",
        "postgresql://me:SECRET?host=SECRET@host/db",
        "postgresql://me/you:SECRET@host/db",
        "postgresql://me:SECRET",
        "postgresql://me:SECRET/db",
        "postgresql:/me:SECRET@host/db",
        "postgresql:me:SECRET@host/db",
        "postgres+psycopg:me:SECRET@host/db",
        "me:SECRET@host/db",
        "me:SECRET/SECRET@host/db",
        "host=localhost user=me password=SECRET dbname=db",
        "password = SECRET",
        "sqlite://me:SECRET@host/db",
        "sqlite:///my.db?password=SECRET",
        "mysql://me:SECRET@host/db",
        "me:SECRET@mysql://host/db",
        "postgresql://me:SECRET@host:port/db",
        "postgresql://me:SECRET@[host/db",
    ],
)
def test_no_form_of_an_address_shows_a_password(text: str) -> None:
    assert "SECRET" not in shown(text)


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_not_understood_is_never_repeated(text: str) -> None:
    with pytest.raises(StoreError, match="next: "):
        parse_address(text)
    assert CANARY not in shown(text)


@pytest.mark.parametrize("text", UNREACHABLE)
def test_an_address_that_is_understood_shows_no_password(text: str) -> None:
    assert parse_address(text).url.drivername == "postgresql+psycopg"
    assert CANARY not in shown(text)


@pytest.mark.parametrize(
    "name",
    [
        "my results.db",
        "lr=0.1.db",
        "12:30.db",
        "me@home.db",
        "a%20b.db",
        "./12:30@home.db",
        "./a:b",
    ],
)
def test_odd_names_of_files_are_names_of_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address(name).path == tmp_path / name
    assert parse_address(f"sqlite:///{name.replace('%', '%25')}").path == tmp_path / name
    assert parse_address(parse_address(name).display).path == tmp_path / name


@pytest.mark.parametrize(
    "name", ["host=a.db", "mysql:a.db", "a?b=c.db", "user:password=a.db", "password=a.db"]
)
def test_a_file_that_is_there_is_a_file_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError):
        parse_address(name)
    (tmp_path / name).touch()
    assert parse_address(name).path == tmp_path / name
    assert parse_address(parse_address(name).display).path == tmp_path / name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgresql://me@host/db?sslmod=require", 'did you mean "sslmode"?'),
        ("postgresql://me@host/db?sslmode=a&sslmode=b", "sslmode twice"),
        ("postgresql://me@host/db?client_encoding=latin1", "remove client_encoding"),
        ("me:secret@host/db", "no postgresql:// in front"),
        ("postgresql://me:secret@host:port/db", "%40"),
    ],
)
def test_what_is_no_address_is_refused_with_the_word_that_helps(text: str, says: str) -> None:
    with pytest.raises(StoreError, match="next: ") as caught:
        parse_address(text)
    assert says in str(caught.value)


def test_other_signs_stand_where_they_may() -> None:
    address = parse_address("postgresql://me@lab.org:a%40b@[::1]:5433/db?host=/run/a@b&user=x@y")
    assert (address.url.username, address.url.password) == ("me@lab.org", "a@b")
    assert (address.url.host, address.url.port, address.url.database) == ("::1", 5433, "db")
    assert address.url.query["host"] == "/run/a@b"
    assert parse_address("postgresql://host/db").display == "postgresql://host/db"
    assert parse_address("postgresql:///db?host=a&host=b").url.query["host"] == ("a", "b")


def test_text_is_sent_as_utf_8() -> None:
    for text in ("postgresql://host/db", "postgresql://host/db?client_encoding=UTF-8"):
        assert parse_address(text).url.query["client_encoding"] == "utf8"
        assert parse_address(text).display == "postgresql://host/db"


def test_a_file_may_be_called_like_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("./me:you@home.db").path == tmp_path / "me:you@home.db"
    (tmp_path / "me:you@home.db").touch()
    assert parse_address("me:you@home.db").path == tmp_path / "me:you@home.db"
    assert parse_address("sqlite:///me:you@home.db").path == tmp_path / "me:you@home.db"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("missing.db", "no such file"),
        ("folder", "a folder"),
        ("pipe", "a pipe, a socket or a device"),
        ("link", "a link that leads nowhere"),
        ("circle", "a link that leads nowhere"),
    ],
)
def test_what_is_no_database_is_told_for_what_it_is(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StoreError, match=f"there is no database\n  found: {found}\n") as caught:
        check_file(parse_address(str(tmp_path / name)))
    assert ("mmlab db init" in str(caught.value)) == (name == "missing.db")


# --- disks of other machines --------------------------------------------------------------------


def mounted(monkeypatch: pytest.MonkeyPatch, folder: Path, place: Path, kind: str) -> None:
    """Let the system tell that a folder is mounted from elsewhere."""
    table = folder / "mountinfo"
    point = str(place).replace(" ", "\\040")
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:50 / {point} rw shared:9 - {kind} server:/export rw,vers=4.2\n"
    )
    monkeypatch.setattr(files, "MOUNTS", table)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs"])
def test_a_file_on_a_disk_of_another_machine_is_refused_before_it_is_made(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a share"
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    mounted(monkeypatch, tmp_path, place, kind)
    for path in (place / "a.db", tmp_path / "link" / "a.db", place / "below" / "a.db"):
        with pytest.raises(StoreError, match=rf"a network file system \({kind}\)"):
            open_store(str(path), create=True)
    assert not list(place.iterdir())
    open_store(str(tmp_path / "a share.db"), create=True).close()


def test_a_file_that_is_there_is_refused_too_unless_somebody_vouches_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(str(tmp_path / "a.db"), create=True).close()
    mounted(monkeypatch, tmp_path, tmp_path, "nfs")
    with pytest.raises(StoreError, match="MMLAB_NETWORK_DISK=1"):
        open_store(str(tmp_path / "a.db"))
    monkeypatch.setenv("MMLAB_NETWORK_DISK", "1")
    open_store(str(tmp_path / "a.db")).close()


def test_local_disks_and_what_is_mounted_above_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files.network_file_system(tmp_path) is None
    mounted(monkeypatch, tmp_path, tmp_path, "nfs")
    with files.MOUNTS.open("a") as table:
        table.write(f"41 40 0:51 / {tmp_path} rw - tmpfs tmpfs rw\n")
    assert files.network_file_system(tmp_path / "a.db") is None
    monkeypatch.setattr(files, "MOUNTS", tmp_path / "none")
    assert files.network_file_system(tmp_path) is None
