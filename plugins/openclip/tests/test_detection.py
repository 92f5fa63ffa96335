"""A tiny open_clip model looks for squares in pictures of COCO's form, stores it, and tells it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from mmlab.cli import main

COLOURS = {"red square": (255, 0, 0), "blue square": (0, 0, 255)}
PLACES = [("red square", (8, 8, 40, 40)), ("blue square", (60, 20, 92, 52))]


def write_pictures(pictures: Path, file: Path) -> None:
    """Two pictures, the second one without things, and their JSON file."""
    for folder in (pictures, file.parent):
        folder.mkdir(parents=True, exist_ok=True)
    annotations = []
    for number in (1, 2):
        picture = Image.new("RGB", (96, 64), (128, 128, 128))
        for name, (x0, y0, x1, y1) in PLACES if number == 1 else ():
            picture.paste(COLOURS[name], (x0, y0, x1, y1))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": list(COLOURS).index(name) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
        picture.save(pictures / f"{number}.png")
    named = [{"id": at, "file_name": f"{at}.png", "width": 96, "height": 64} for at in (1, 2)]
    categories = [{"id": at + 1, "name": name} for at, name in enumerate(COLOURS)]
    file.write_text(
        json.dumps({"images": named, "annotations": annotations, "categories": categories})
    )


@pytest.mark.slow
def test_squares_are_looked_for_by_windows_and_by_patches(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pictures" / "instances.json"
    write_pictures(file.parent, file)
    tower = f'use = "open_clip"\narchitecture = "{clip}"\n'
    (tmp_path / "where.toml").write_text(
        f'schema_version = 1\nname = "where"\n[dataset]\nuse = "coco"\ntest = "{file}"\n'
        f'templates = ["a photo of a {{}}."]\n[encoders.image]\n{tower}[encoders.text]\n{tower}'
        '[fusion]\nuse = "inner_product"\n[[evaluate]]\nuse = "detection"\nname = "windows"\n'
        'scales = [0.5]\n[[evaluate]]\nuse = "detection"\nname = "tokens"\nregions = "tokens"\n'
    )
    ran = CliRunner().invoke(main, ["run", "where.toml"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    with closing(sqlite3.connect("mmlab.db")) as database:
        values = {
            tuple(names): value
            for *names, value in database.execute(
                "SELECT evaluation, condition, metric, value FROM leaderboard"
            )
        }
        rows = database.execute(
            "SELECT DISTINCT sample, cluster FROM sample_outcomes WHERE condition = 'found'"
        ).fetchall()
    assert {names[:2] for names in values} == {
        (name, condition)
        for name in ("windows", "tokens")
        for condition in ("found", "oracle", "pointing")
    }
    # "What" does not hang on where one looks; random weights may find anything.
    assert values["windows", "oracle", "top1"] == values["tokens", "oracle", "top1"]
    assert 0 <= values["windows", "found", "AP50"] <= 1
    assert sorted(rows) == [
        ("pictures/1.png#0", "pictures/1.png"),
        ("pictures/1.png#1", "pictures/1.png"),
    ]
    shown = CliRunner().invoke(main, ["show", "where", "--sample", "pictures/1.png#0"])
    assert "out of 2 labels" in shown.output


@pytest.mark.slow
def test_the_published_spec_of_coco_reads_its_folder(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parents[3] / "experiments" / "published" / "coco.toml", tmp_path)
    folder = tmp_path / "data" / "coco"
    write_pictures(folder / "val2017", folder / "annotations" / "instances_val2017.json")
    small = [f"architecture={clip}", "pretrained="]
    values = [f"encoders.{key}.{each}" for key in ("image", "text") for each in small]
    changed = [f"--set={value}" for value in (*values, "evaluate.0.scales=[1.0]")]
    ran = CliRunner().invoke(main, ["run", "coco.toml", *changed], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    with closing(sqlite3.connect("mmlab.db")) as database:
        asked = database.execute("SELECT DISTINCT evaluation, condition FROM leaderboard")
        found = set(asked.fetchall())
    conditions = ("found", "oracle", "pointing")
    assert found == {(name, each) for name in ("windows", "patches") for each in conditions}
