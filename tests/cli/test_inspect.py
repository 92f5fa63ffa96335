"""`mmlab inspect`: what data hold, as a person and as a program reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support.manifests import write_csv, write_sound

from mmlab.cli import main

SPEC = """
schema_version = 1
name = "pets"
[dataset]
use = "manifest"
path = "index.csv"
id_column = "id"
image_column = "file"
text_columns = ["text"]
tabular_columns = ["age", "town"]
target_columns = ["price"]
label_column = "kind"
split_column = "part"
rows = "samples"
[encoders.image]
use = "convnet"
[encoders.words]
use = "transformer"
modality = "text"
vocabulary = "bytes"
length = 8
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[train]
epochs = 1
batch_size = 2
[[evaluate]]
use = "classification"
"""
COLUMNS = ("id", "file", "text", "age", "town", "price", "kind", "part")
ROWS = (
    ("1", "a.png", "a cat", "3", "Bonn", "1.5", "cat", "train"),
    ("2", "b.png", "one long caption", "4.5", "Bonn", "2.5", "cat", "train"),
    ("3", "", "dog", "", "Ulm", "", "dog", "train"),
    ("4", "a.png", "", "5", "", "9", "", "validation"),
    ("5", "bad.png", "emu", "7", "", "", "emu", "test"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small manifest and its spec, and the working directory there."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4), "red").save("a.png")
    Image.new("L", (60, 40)).save("b.png")
    Path("bad.png").write_bytes(b"no picture")
    write_csv(Path("index.csv"), [dict(zip(COLUMNS, row, strict=True)) for row in ROWS])
    Path("pets.toml").write_text(SPEC)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", *arguments])


def ask(*arguments: str) -> Any:  # Any: a JSON document
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema_version"] == 1
    return document


def data(*arguments: str) -> Any:  # as above
    (found,) = ask(*arguments)["data"]
    return found


def test_samples_are_counted_by_split_modality_label_and_target() -> None:
    splits = data("pets.toml")["splits"]
    assert [(name, split["samples"]) for name, split in splits.items()] == [
        ("train", 3),
        ("validation", 1),
        ("test", 1),
    ]
    train = splits["train"]
    assert train["present"] == {"image": 2, "text": 3, "tabular": 3}
    assert train["combinations"] == {"image+text+tabular": 2, "text+tabular": 1}
    assert (train["labelled"], train["labels"]) == (3, {"cat": 2, "dog": 1})
    expected = {"known": 2, "minimum": 1.5, "mean": 2.0, "maximum": 2.5}
    assert train["targets"] == {"price": expected}
    assert splits["validation"]["labelled"] == 0
    assert splits["test"]["targets"] == {
        "price": {"known": 0, "minimum": None, "mean": None, "maximum": None}
    }


def test_drawn_values_are_described_by_what_they_are(folder: Path) -> None:
    found = data("pets.toml")["drawn"]
    texts = found["texts"]["text"]
    assert (texts["drawn"], texts["words"]) == (4, {"minimum": 1, "median": 1.5, "maximum": 3})
    pictures = found["pictures"]["image"]
    assert pictures["width"] == {"minimum": 6, "median": 6, "maximum": 60}
    assert pictures["modes"] == {"RGB": 2, "L": 1}
    assert pictures["formats"] == {"PNG": 3}
    assert pictures["drawn"] == 4
    assert pictures["unreadable"]["count"] == 1
    assert pictures["unreadable"]["first"] == f"{folder}/bad.png: it is no picture"
    columns = found["columns"]["tabular"]
    assert (columns["age"]["kind"], columns["age"]["missing"]) == ("numbers", 1)
    assert columns["age"]["range"] == {"minimum": 3, "median": 4.75, "maximum": 7}
    assert (columns["town"]["kind"], columns["town"]["top"]) == (
        "categories",
        {"Bonn": 2, "Ulm": 1},
    )


def test_text_encoders_say_how_many_texts_they_cut() -> None:
    (words,) = data("pets.toml")["text_encoders"]
    # A start token and seven bytes: "one long caption" has 16, "a cat" 5.
    assert (words["encoder"], words["length"], words["longest"]) == ("words", 8, 17)
    assert (words["texts"], words["cut"]) == (4, 1)
    (found,) = data("pets.toml", "--set", "encoders.words.length=17")["text_encoders"]
    assert found["cut"] == 0


def test_what_splits_share_is_found_before_anything_trains(folder: Path) -> None:
    hygiene = data("pets.toml")["hygiene"]
    assert [(one["kind"], one["count"]) for one in hygiene["findings"]] == [
        ("file", 1),
        ("label", 1),
    ]
    assert hygiene["findings"][0]["examples"] == [f"{folder}/a.png"]
    assert "groups, for none are named" in hygiene["unseen"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.png",
        "b.png",
        "bad.png",
        "index.csv",
        "pets.toml",
    ]


def test_notes_of_the_reader_are_told() -> None:
    assert any("'town'" in note for note in data("pets.toml")["notes"])


def test_five_samples_are_drawn_by_the_seed() -> None:
    first, again, other = (data("pets.toml", "--seed", seed)["samples"] for seed in "001")
    assert first == again
    assert {one["id"] for one in first} == {"1", "2", "3", "4", "5"} == {o["id"] for o in other}
    by_id = {one["id"]: one for one in first}
    assert by_id["2"]["values"]["image"] == "picture of 60 x 40"
    assert by_id["2"]["labels"] == ["cat"]
    assert "bad.png" in by_id["5"]["error"]
    cells = [(f"{n}", "" if n else "a.png", f"t{n}", "", "", "", "", "train") for n in range(99)]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in cells]
    write_csv(Path("index.csv"), rows)
    drawn = [{one["id"] for one in data("pets.toml", "--seed", seed)["samples"]} for seed in "01"]
    assert [len(ids) for ids in drawn] == [5, 5]
    assert drawn[0] != drawn[1]


def test_data_of_an_evaluation_are_a_split_of_their_own() -> None:
    own = (
        '[[evaluate]]\nuse = "classification"\nname = "faces"\n[evaluate.dataset]\nuse = "emoji"\n'
    )
    Path("pets.toml").write_text(SPEC + own)
    splits = data("pets.toml")["splits"]
    assert splits["the data of faces"]["dataset"] == "emoji"
    assert splits["the data of faces"]["samples"] == 151
    assert "faces" in call("pets.toml").stdout


def test_each_dataset_of_a_sweep_is_shown_once() -> None:
    sweep = '[sweep]\nseeds = [0, 1]\n[sweep.axes]\n"dataset.text_columns" = [["text"], ["town"]]\n'
    Path("pets.toml").write_text(SPEC + sweep)
    found = ask("pets.toml")["data"]
    assert [len(one["cells"]) for one in found] == [2, 2]
    assert [one["drawn"]["texts"]["text"]["words"]["maximum"] for one in found] == [3, 1]


def test_sounds_are_described(folder: Path) -> None:
    write_sound(folder / "a.wav", [[0] * 4000, [0] * 4000])
    write_csv(folder / "s.csv", [{"file": "a.wav", "part": "train", "text": "x", "kind": "y"}])
    options = (
        'path = "s.csv"\naudio_column = "file"\nlabel_column = "kind"\nsplit_column = "part"\n'
    )
    _, _, rest = SPEC.partition("[encoders.image]")
    head = f'schema_version = 1\nname = "s"\n[dataset]\nuse = "manifest"\n{options}'
    Path("s.toml").write_text(f"{head}[encoders.audio]{rest}".replace("convnet", "spectrogram"))
    sounds = data("s.toml")["drawn"]["sounds"]["audio"]
    assert sounds["seconds"] == {"minimum": 0.5, "median": 0.5, "maximum": 0.5}
    assert (sounds["rates"], sounds["channels"]) == ({"8000": 1}, {"2": 1})


@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_shown_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", f"{columns}")
    result = call("pets.toml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    words = (
        "dataset manifest, of 1 cell",
        "3 labels, one a sample",
        "image: 4 pictures, drawn",
        "encoders.words reads 8 ids",
        "what splits share",
        "5 samples, drawn",
    )
    assert [word for word in words if word not in result.stdout] == []


def test_data_that_cannot_be_opened_are_an_error() -> None:
    result = call("pets.toml", "--set", "dataset.path=none.csv")
    assert result.exit_code == 1
    assert "none.csv" in result.stderr
    assert call("pets.toml", "--set", "dataset.usee=1").exit_code == 3


def test_an_encoder_that_cannot_be_made_is_told_and_ends_nothing() -> None:
    (words,) = data(
        "pets.toml", "--set", "encoders.words.pool=end", "--set", "encoders.words.length=2"
    )["text_encoders"]
    assert "length" in words["error"]


def test_a_spec_that_is_wrong_elsewhere_still_shows_its_data() -> None:
    (words,) = data("pets.toml", "--set", "evaluate.0.use=zero_shot")["text_encoders"]
    assert "the evaluator 'zero_shot' reads" in words["error"]


CODE = """
import sys
from mmlab.cli import main
if __name__ == "__main__":
    # Where data have labels and targets, the loss is asked which of them it reads.
    setting = "dataset.target_columns=[]"
    main(["inspect", "pets.toml", "--set", setting, "--json"], standalone_mode=False)
    print(sorted({"torch", "sqlalchemy"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.slow
def test_torch_is_left_to_another_process(folder: Path) -> None:
    (folder / "ask.py").write_text(CODE)
    done = subprocess.run([sys.executable, "ask.py"], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
    (found,) = json.loads(done.stdout)["data"]
    assert [one["cut"] for one in found["text_encoders"]] == [1]
