"""`mmlab rank`: labels and pictures from the command line, cards on a terminal, page or as JSON."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mmlab_datasets.emoji import Emoji
from support.lab import Lab, here

import mmlab
from mmlab.cli import main
from mmlab.runner.runner import run_specs

SPEC = """\
schema_version = 1
name = "food"

[dataset]
use = "emoji"
labels = "category"

[encoders.image]
use = "convnet"
image_size = 32
width = 8
levels = 1

[encoders.text]
use = "transformer"
width = 8
heads = 2
depth = 1
length = 12

[fusion]
use = "inner_product"
dim = 8

[[losses]]
use = "info_nce"

[train]
epochs = 1
batch_size = 256

[[evaluate]]
use = "zero_shot"
"""
LABELS = Emoji("test", labels="category").labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run, and the pictures of its test split's first samples."""
    folder = tmp_path_factory.mktemp("rank")
    (folder / "food.toml").write_text(SPEC)
    (outcome,) = run_specs(
        [folder / "food.toml"], here(f"{folder}/mmlab.db"), Lab(folder, "").shown
    )
    assert outcome.error is None
    dataset = Emoji("test", labels="category")
    for index in range(3):
        dataset[index].values["image"].save(folder / f"{dataset[index].id}.png")  # type: ignore[attr-defined]
    (folder / "labels.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(LABELS).encode())
    (folder / "page.png").write_text("<html>")
    (folder / "empty.txt").write_text("\n \n")
    (folder / "latin.txt").write_bytes("cr\u00e8me\nb".encode("latin-1"))
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def rank(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rank", *arguments, "--device", "cpu"])


def ids() -> list[str]:
    dataset = Emoji("test", labels="category")
    return [dataset[index].id for index in range(3)]


def pictures() -> list[str]:
    return [f"{name}.png" for name in ids()]


@pytest.mark.slow
def test_pictures_are_ranked_as_the_run_stored_them() -> None:
    result = rank("food", *pictures(), "--labels-file", "labels.txt", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema_version"] == 1
    with mmlab.results("mmlab.db") as results:
        own = [results.card("food", name)[0] for name in ids()]
    for card, other in zip(document["cards"], own, strict=True):
        assert [bar["labels"] for bar in card["bars"]] == [
            list(bar.labels) for bar in other.bars if not bar.is_beyond
        ]
        assert [bar["score"] for bar in card["bars"]] == pytest.approx(
            [bar.score for bar in other.bars if not bar.is_beyond], rel=1e-5
        )
        assert card["bars"][0]["before"] == other.bars[0].before
        assert card["picture"] == other.picture_uri or other.picture is None


def test_a_card_on_the_terminal_and_as_a_page(folder: Path) -> None:
    asked = ("@last", pictures()[0], "--labels", "objects, food & drink", "--labels", "flags")
    result = rank(*asked, "--truth", "flags", "--template", "a photo of {}, a kind.", "--top", "2")
    assert result.exit_code == 0, result.output
    assert "out of 3 labels" in result.stdout
    assert "a photo of flags, a kind." in result.stdout
    page = rank(*asked, "--out", "card.html")
    assert (page.exit_code, page.stdout) == (0, "")
    text = (folder / "card.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "food &amp; drink" in text
    assert "data:image/webp;base64," in text


#: Arguments, the exit code, and what is said.
REFUSED = (
    (("nobody", "a.png", "--labels", "a,b"), 2, "nobody"),
    (("food", "--labels", "a,b"), 2, "nothing to rank labels for"),
    (("food", "PICTURE"), 2, "labels are needed"),
    (("food", ".", "--labels", "a,b"), 2, "a folder"),
    (("food", "gone.png", "--labels", "a,b"), 2, "nothing is there"),
    (("food", "page.png", "--labels", "a,b"), 1, "HTML page"),
    (("food", "PICTURE", "--labels", "a,,b"), 2, "label 2 is empty"),
    (("food", "PICTURE", "--labels", "a,b,a"), 2, "more than once"),
    (("food", "PICTURE", "--labels", "a"), 2, "one label"),
    (("food", "PICTURE", "--labels", "a,b", "--labels-file", "labels.txt"), 2, "not from both"),
    (("food", "PICTURE", "--labels-file", "gone.txt"), 2, "gone.txt"),
    (("food", "PICTURE", "--labels-file", "empty.txt"), 2, "no line with a label"),
    (("food", "PICTURE", "--labels-file", "latin.txt"), 2, "no UTF-8"),
    (("food", "PICTURE", "--labels-file", "."), 2, "folder"),
    (("food", "PICTURE", "--labels", "a,b", "--template", "a photo"), 2, "exactly one {}"),
    (("food", "PICTURE", "--labels", "a,b", "--truth", "c"), 2, "none of the labels"),
    (("food", "--input", "sound=a.wav", "--labels", "a,b"), 2, "no such input"),
    (("food", "--input", "a.wav", "--labels", "a,b"), 2, "a name and a value"),
    (("food", "PICTURE", "--labels", "a,b", "--out", "card.pdf"), 2, "HTML page"),
    (("food", "PICTURE", "--labels", "a,b", "--out", "no/card.html"), 2, "cannot be written"),
    (("gone.toml", "PICTURE", "--labels", "a,b"), 3, "gone.toml"),
    (("food.toml", "PICTURE", "--labels", "a,b"), 2, "this spec trains its model"),
)


@pytest.mark.slow
def test_what_cannot_be_ranked_is_told_in_five_parts(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for arguments, code, says in REFUSED:
        result = rank(*(pictures()[0] if one == "PICTURE" else one for one in arguments))
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        assert result.exit_code == code, (arguments, result.output)
        assert says in result.stderr, (arguments, result.stderr)
        assert all(part in result.stderr for part in ("found: ", "allowed: ", "next: "))
        assert result.stdout == ""
    assert sorted(path.name for path in folder.iterdir()) == before


SOUNDS = """\
schema_version = 1
name = "sounds"

[dataset]
use = "manifest"
path = "sounds.csv"
audio_column = "sound"
tabular_columns = ["age"]
label_column = "word"
split_column = "part"
id_column = "sound"

[encoders.noise]
use = "audio_convnet"
modality = "audio"
width = 8
levels = 1

[encoders.tabular]
use = "tabular"
width = 8
depth = 1
heads = 2

[fusion]
use = "concat"
dim = 4

[head]
use = "linear"

[[losses]]
use = "cross_entropy"

[train]
epochs = 1
batch_size = 4

[[evaluate]]
use = "classification"
"""


@pytest.mark.slow
def test_a_head_ranks_for_a_sound_and_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["sound,age,word,part"]
    for number in range(12):
        with wave.open(f"{number}.wav", "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes([number, number % 2]) * 2000)
        part = "train" if number < 8 else "test"
        rows.append(f"{number}.wav,{number},{'yes' if number % 2 else 'no'},{part}")
    Path("sounds.csv").write_text("\n".join(rows))
    Path("sounds.toml").write_text(SOUNDS)
    (outcome,) = run_specs([Path("sounds.toml")], here("mmlab.db"), Lab(tmp_path, "").shown)
    assert outcome.error is None
    both = ("--input", "noise=9.wav", "--input", 'tabular={"age": 9}')
    result = rank("sounds", *both, "--truth", "yes", "--json")
    assert result.exit_code == 0, result.output
    (card,) = json.loads(result.stdout)["cards"]
    with mmlab.results("mmlab.db") as results:
        (other,) = results.card("sounds", "9.wav")
    assert (card["rank"], card["truths"], card["sample"]) == (other.rank, ["yes"], "9.wav")
    assert [bar["score"] for bar in card["bars"]] == pytest.approx(
        [bar.score for bar in other.bars], rel=1e-5
    )
    assert "Ranked" in rank("sounds", "9.wav", "--input", 'tabular={"age": 9}').stdout
    refused = rank("sounds", "9.wav", "--input", "tabular=9")
    assert (refused.exit_code, "JSON object" in refused.stderr) == (2, True)


def test_an_override_is_for_specs() -> None:
    result = rank("food", pictures()[0], "--labels", "a,b", "--set", "fusion.dim=4")
    assert result.exit_code == 2
    assert "a run is as it was" in result.stderr
