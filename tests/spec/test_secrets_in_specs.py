"""A password, token or key in a spec is refused before anything is stored, and shown nowhere."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.specs import SPEC

from mmlab.cli import main
from mmlab.errors import secret_in

CANARY = "CANARYpw"
#: Texts with a secret, as people write them.
SECRETS = [
    f"postgresql://me:{CANARY}@host/db",
    f"postgres://me:{CANARY}/x@host/db",
    f"postgresql+psycopg://me:{CANARY}@host/db",
    f"postgresql:/me:{CANARY}@host/db",
    f"mysql://me:{CANARY}@host/db",
    f"redis://:{CANARY}@host",
    f"mongodb+srv://me:{CANARY}@host/db",
    f"https://me:{CANARY}@host/data.tar",
    f"https://{CANARY}@host/data.tar",
    f"HTTPS://{CANARY}@host/data.tar",
    f"git+https://me:{CANARY}@host/data.git",
    f"https://host/data?password={CANARY}",
    f"https://host/data?a=1&token={CANARY}",
    f"https://host/data?access_token={CANARY}#top",
    f"https://host/data?X-Amz-Signature={CANARY}",
    f"https://host/data?sig={CANARY}",
    f"https://host/data?api-key={CANARY}",
    f"https://host/data?key={CANARY}",
    f"https://host/data?client_secret={CANARY}",
    f"postgresql%3A%2F%2Fme%3A{CANARY}%40host%2Fdb",
    f"https://host/data%3Ftoken%3D{CANARY}",
    f"host=h user=me password={CANARY}",
    f"from postgresql://me:{CANARY}@host/db to here",
    f"ghp_{CANARY}{'a1' * 20}",
    f"github_pat_{CANARY}{'a1' * 20}",
    f"the token glpat-{CANARY}{'a1' * 10}, of the group",
    f"hf_{CANARY}{'aB' * 20}",
    f"xoxb-12345-{CANARY}",
    f"sk-proj-{CANARY}{'a1' * 20}",
    f"AIza{CANARY}{'a1' * 20}",
    f"pypi-AgE{CANARY}{'a1' * 10}",
    f"Bearer eyJ{'a1' * 8}.eyJ{'b2' * 8}.{CANARY}",
]
#: Texts that look a little like it.
PLAIN = [
    "postgresql://me@host/db",
    "https://host:8080/pictures@2x.png",
    "https://host/data?monkey=a&author=b&tokens=3",
    "Me <me@example.org>",
    "git@host:group/project.git",
    "ssh://git@host/project.git",
    "a photo of {label}: 12:30 @ noon",
    "postgresql:///db?service=mine",
    "https://host/search?q=a+b#key=c",
    "a sk-learn pipeline, sk-something-that-has-no-number-in-it-at-all",
    "AKIAS, hf_hub_download and ghp_ begin like tokens",
    "hf_internal_testing/tiny-random-clip",
    "vit_base_patch16_clip_224.openai",
]


@pytest.mark.parametrize("text", SECRETS)
def test_it_is_found_wherever_it_stands_in_a_text(text: str) -> None:
    assert secret_in(text) is not None
    assert secret_in(f"# {text}") is not None


@pytest.mark.parametrize("text", PLAIN)
def test_what_looks_a_little_like_it_is_none(text: str) -> None:
    assert secret_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "postgres://a:" * 80_000,
        "a." * 500_000,
        "?" * 10**6,
        "http://a@" * 100_000,
        "@:/" * 300_000,
        "-eyJ" * 250_000,
        "sk-" * 300_000,
        "-hf_" + "a" * 10**6,
    ],
)
def test_a_crafted_text_takes_no_longer_than_its_length(text: str) -> None:
    began = time.process_time()
    secret_in(text)
    assert time.process_time() - began < 3


def call(folder: Path, *arguments: str) -> None:
    """The command refuses: nothing of it is shown, or written."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 3, result.output
    assert "a spec holds no password, token or key" in result.stderr
    assert "pgpass" in result.stderr
    assert CANARY not in result.output + result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "line",
    [
        'url = "postgresql://me:{0}@host/db"',
        r'url = "postgresql://me\u003a{0}@host/db"',
        'more = [{{ url = "https://{0}@host/data" }}]',
        'password = "{0}"',
        '"db_password" = "{0}"',
        "'api_key' = '{0}'",
        'access_token = "{0}"',
        '"https://{0}@host" = 1',
        "# url = postgresql://me:{0}@host/db",
        'broken = "https://{0}@host/data',
    ],
)
def test_a_file_with_one_is_refused(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = line.format(CANARY)
    (tmp_path / "spec.toml").write_text(SPEC.replace("[dataset]\n", f"[dataset]\n{text}\n", 1))
    call(tmp_path, "validate", "spec.toml")


def test_it_is_told_in_which_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(f"# one\n# https://{CANARY}@host\n{SPEC}")
    result = CliRunner().invoke(main, ["validate", "spec.toml"])
    assert "in line 2; not shown" in result.stderr


@pytest.mark.parametrize(
    "setting",
    [
        'dataset.url="postgresql://me:{0}@host/db"',
        "dataset.url=https://host/data?token={0}",
        r'dataset.url="https:\u002f/{0}\u0040host/data"',
        "dataset.password={0}",
        "dataset.api_key={0}",
        "postgresql://me:{0}@host/db",
    ],
)
def test_so_is_a_setting(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    call(tmp_path, "validate", "spec.toml", "--set", setting.format(CANARY))


def test_so_is_what_extends_or_changes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "over.toml").write_text('schema_version = 1\nname = "a"\nextends = ["bad.toml"]\n')
    (tmp_path / "bad.toml").write_text(f'[dataset]\nurl = "https://{CANARY}@host"\n')
    call(tmp_path, "validate", "over.toml")
    call(tmp_path, "validate", "spec.toml", "--set-file", "bad.toml")


@pytest.mark.slow
def test_a_run_of_one_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["db", "init"]).exit_code == 0
    (tmp_path / "spec.toml").write_text(f"# https://{CANARY}@host\n{SPEC}")
    call(tmp_path, "run", "spec.toml", "--device", "cpu")
