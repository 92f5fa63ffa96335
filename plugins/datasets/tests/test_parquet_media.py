"""Pictures and sounds in Parquet files, in every layout that people have."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from mmlab_datasets.parquet import Parquet
from PIL import Image

from mmlab.plugin import DataError, file_sha256
from mmlab.testing import check_dataset

BYTES_PATH = pl.Struct({"bytes": pl.Binary, "path": pl.String})
RATED = pl.Struct({"bytes": pl.Binary, "path": pl.String, "sampling_rate": pl.Int32})


def picture(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def sound(values: list[int], rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.array(values, "<i2").tobytes())
    return file.getvalue()


def open_column(path: Path, cells: pl.Series, features: object = None, **options: Any) -> Parquet:
    """A dataset of this column alone, which is pictures unless it is called "audio"."""
    told = json.dumps({"info": {"features": features or {}}})
    pl.DataFrame([cells]).write_parquet(path, metadata={"huggingface": told})
    columns = {} if "image_column" in options else {f"{cells.name}_column": cells.name}
    return Parquet("train", train=path, **columns, **options)


def reds(dataset: Parquet) -> list[int | None]:
    samples = [dataset[row].values for row in range(len(dataset))]
    return [x["image"].getpixel((0, 0))[0] if "image" in x else None for x in samples]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    (tmp_path / "img/7.png").write_bytes(picture(7))
    (tmp_path / "img/9.png").write_bytes(picture(9))
    (tmp_path / "7.wav").write_bytes(sound([7, -7]))
    return tmp_path / "data.parquet"


SEVEN, NINE = picture(7), picture(9)
FILES = ["img/7.png", None, "img/9.png"]
LAYOUTS = {
    "bytes": pl.Series([SEVEN, None, NINE]),
    "bytes and path": pl.Series(
        [{"bytes": SEVEN, "path": "x.png"}, None, {"bytes": NINE, "path": None}], dtype=BYTES_PATH
    ),
    "a struct of bytes": pl.Series([{"bytes": SEVEN}, {"bytes": None}, {"bytes": NINE}]),
    "path without bytes": pl.Series(
        [{"bytes": None, "path": name} for name in FILES], dtype=BYTES_PATH
    ),
    "some with bytes, some with a path": pl.Series(
        [{"bytes": SEVEN, "path": "no.png"}, None, {"bytes": None, "path": "img/9.png"}],
        dtype=BYTES_PATH,
    ),
    "bytes of no type": pl.Series(
        [{"bytes": None, "path": name} for name in FILES],
        dtype=pl.Struct({"bytes": pl.Null, "path": pl.String}),
    ),
    "a struct of a path": pl.Series([{"path": name} for name in FILES]),
    "path": pl.Series(FILES),
    "path, empty": pl.Series(["img/7.png", "", "img/9.png"]),
    "path as categories": pl.Series(FILES, dtype=pl.Categorical),
    "path of an Enum": pl.Series(FILES, dtype=pl.Enum(["img/7.png", "img/9.png"])),
    "lists of one": pl.Series([[SEVEN], [], [NINE]]),
    "lists of one, null": pl.Series([[SEVEN], [None], [NINE]]),
    "lists of one struct": pl.Series(
        [[{"bytes": SEVEN, "path": "x"}], None, [{"bytes": NINE, "path": "x"}]],
        dtype=pl.List(BYTES_PATH),
    ),
    "lists of one path": pl.Series([["img/7.png"], [], ["img/9.png"]]),
    "arrays of one": pl.Series([[SEVEN], None, [NINE]], dtype=pl.Array(pl.Binary, 1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_are_read_from_every_layout(path: Path, layout: str) -> None:
    dataset = open_column(path, LAYOUTS[layout].alias("image"))
    assert reds(dataset) == [7, None, 9]
    assert [set(dataset.outline(row).values) for row in range(3)] == [{"image"}, set(), {"image"}]


OTHERS = {
    "several": (pl.Series([[SEVEN], [SEVEN, NINE]]), r"row 2, .*several pictures(.|\n)*2 of them"),
    "numbers": (pl.Series([1, 2]), "no pictures(.|\n)*Int64"),
    "lists of numbers": (pl.Series([[137, 80, 78]]), r"no pictures(.|\n)*List\(Int64\)"),
    "arrays of pixels": (pl.Series([[[[1, 2, 3]]]]), r"no pictures(.|\n)*List\(List"),
    "booleans": (pl.Series([True]), "no pictures(.|\n)*Boolean"),
    "times": (pl.Series([1]).cast(pl.Datetime), "no pictures(.|\n)*Datetime"),
    "other fields": (
        pl.Series([{"data": SEVEN, "name": "x"}]),
        r'no pictures(.|\n)*Struct(.|\n)*one of its fields: "image.data", "image.name"',
    ),
    "bytes as numbers": (pl.Series([{"bytes": [137], "path": "img/7.png"}]), "no pictures"),
    "null": (pl.Series([None, None]), "every picture of the split is missing(.|\n)*2 rows.*Null"),
    "all missing": (
        pl.Series([{"bytes": None, "path": None}] * 3, dtype=BYTES_PATH),
        "every picture of the split is missing(.|\n)*3 rows .*Struct",
    ),
    "empty lists": (pl.Series([[], []], dtype=pl.List(pl.Binary)), "every picture"),
    "no file": (pl.Series(["img/7.png", "img/8.png"]), r"row 2, .*there is no file(.|\n)*8\.png"),
    "no file of a struct": (
        pl.Series([{"bytes": SEVEN, "path": "x"}, {"bytes": None, "path": "img/8.png"}]),
        r"row 2, .*there is no file(.|\n)*8\.png",
    ),
    "outside": (pl.Series(["../a.png"]), "outside of the root"),
    "an address": (pl.Series([None, "https://example.org/a.png"]), "row 2.*is an address"),
    "a NUL": (pl.Series(["a\0.png"]), "holds a NUL"),
    "base64": (pl.Series(["iVBORw0KGgo" * 1000]), "too long"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_columns_are_no_pictures_by_name_and_type(path: Path, other: str) -> None:
    cells, fault = OTHERS[other]
    with pytest.raises(DataError, match=fault) as caught:
        open_column(path, cells.alias("image"))
    assert f"{path}: " in str(caught.value)
    assert "column 'image'" in str(caught.value)


def test_an_empty_cell_of_bytes_is_a_damaged_picture_not_a_missing_one(path: Path) -> None:
    dataset = open_column(path, pl.Series("image", [SEVEN, b""]))
    assert "image" in dataset.outline(1).values
    with pytest.raises(DataError, match="row 2, column 'image': the picture cannot be read"):
        dataset[1]


def test_a_column_that_the_schema_calls_a_sound_is_no_picture(path: Path) -> None:
    cells = pl.Series("image", [{"bytes": SEVEN, "path": "x"}])
    assert reds(open_column(path, cells, {"image": {"_type": "Image", "decode": True}})) == [7]
    with pytest.raises(DataError, match="which the schema calls Audio"):
        open_column(path, cells, {"image": {"_type": "Audio", "sampling_rate": 16000}})


def test_a_field_of_structs_may_be_a_picture(path: Path) -> None:
    told = {"shot": {"left": {"_type": "Image"}, "right": {"_type": "Image"}}}
    inner = [{"left": {"bytes": SEVEN, "path": "a"}, "right": {"bytes": NINE, "path": "b"}}]
    dataset = open_column(path, pl.Series("shot", inner), told, image_column="shot.right")
    assert reds(dataset) == [9]
    with pytest.raises(DataError, match=r'no field .*did you mean "shot.right"'):
        open_column(path, pl.Series("shot", inner), told, image_column="shot.rigth")


def test_files_lie_below_the_root(path: Path) -> None:
    assert reds(open_column(path, pl.Series("image", ["7.png"]), root="img")) == [7]


def test_the_revision_knows_the_files_that_cells_name(path: Path) -> None:
    cells = pl.Series("image", ["img/7.png"])
    sized, hashed = (open_column(path, cells, hash_files=x).revision for x in (False, True))
    content = bytearray((path.parent / "img/7.png").read_bytes())
    (path.parent / "img/7.png").write_bytes(content[:-1] + b"?")
    assert open_column(path, cells).revision == sized
    assert open_column(path, cells, hash_files=True).revision != hashed
    (path.parent / "img/7.png").write_bytes(content + b"?")
    assert open_column(path, cells).revision != sized


def test_a_picture_in_a_list_is_another_revision_than_none(path: Path) -> None:
    dataset = open_column(path, pl.Series("image", [[SEVEN]]))
    assert dataset.revision != plain_revision(path, ["train", "image", None])
    assert dataset.notes == (
        f"train of {path}: column 'image' has lists, of which the one picture is taken",
    )


def test_rows_without_a_picture_are_counted(path: Path) -> None:
    dataset = open_column(path, pl.Series("image", [SEVEN, None, NINE]))
    assert dataset.notes == (f"train of {path}: column 'image': 1 of 3 rows have no picture",)
    assert open_column(path, pl.Series("image", [SEVEN])).notes == ()


# --- sounds -------------------------------------------------------------------------------------
def wave_of(values: list[int], told: int | None = None) -> dict[str, Any]:
    return {"bytes": sound(values), "path": "a.wav", "sampling_rate": told}


SOUNDS = {
    "bytes": pl.Series([sound([7, -7]), None]),
    "bytes and path": pl.Series([{"bytes": sound([7, -7]), "path": "a.wav"}, None]),
    "with its rate": pl.Series([wave_of([7, -7], 8000), None], dtype=RATED),
    "with a rate of null": pl.Series([wave_of([7, -7]), None], dtype=RATED),
    "path without bytes": pl.Series(
        [{"bytes": None, "path": "7.wav", "sampling_rate": 8000}, None], dtype=RATED
    ),
    "path": pl.Series(["7.wav", None]),
    "lists of one": pl.Series([[wave_of([7, -7], 8000)], []], dtype=pl.List(RATED)),
}


@pytest.mark.parametrize("layout", SOUNDS)
def test_sounds_are_read_from_every_layout(path: Path, layout: str) -> None:
    dataset = open_column(path, SOUNDS[layout].alias("audio"))
    values, rate = dataset[0].values["audio"]
    assert (values * 32768).tolist() == [[7, -7]]
    assert rate == 8000
    assert "audio" not in dataset[1].values
    assert dataset.modalities == ("audio",)


def test_sounds_that_are_no_plain_wav_are_read_by_soundfile(path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.array([0.25, -0.5]), 16000, format="FLAC", subtype="PCM_24")
    values, rate = open_column(path, pl.Series("audio", [file.getvalue()]))[0].values["audio"]
    assert (values.tolist(), rate) == ([[0.25, -0.5]], 16000)


def test_a_sound_whose_cell_tells_another_rate_is_refused(path: Path) -> None:
    dataset = open_column(path, pl.Series("audio", [wave_of([7], 16000)], dtype=RATED))
    with pytest.raises(DataError, match=r"row 1, .*another rate(.|\n)*16,000.*8,000 Hz"):
        dataset[0]


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        (pl.Series([{"array": [0.5], "sampling_rate": 8000}]), r'no sounds(.|\n)*"audio.array"'),
        (pl.Series([[0.5, 0.25]]), r"no sounds(.|\n)*List\(Float64\)"),
        (pl.Series([None]), "every sound of the split is missing"),
    ],
)
def test_other_columns_are_no_sounds(path: Path, cells: pl.Series, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        open_column(path, cells.alias("audio"))


def test_a_damaged_sound_is_named(path: Path) -> None:
    dataset = open_column(path, pl.Series("audio", [sound([7])[:20]]))
    with pytest.raises(DataError, match=r"row 1, column 'audio': (.|\n)*write the file again"):
        dataset[0]


def test_pictures_and_sounds_together_keep_the_contract(path: Path) -> None:
    frame = pl.DataFrame({"image": ["img/7.png", None], "audio": [sound([1, 2]), sound([3])]})
    frame.write_parquet(path)
    check_dataset(Parquet, train=path, image_column="image", audio_column="audio")


def plain_revision(path: Path, options: list[str | None]) -> str:
    """The revision of a file that holds all there is to read."""
    content = json.dumps(options).encode() + bytes.fromhex(file_sha256(path))
    return f"parquet-{hashlib.sha256(content).hexdigest()[:16]}"
