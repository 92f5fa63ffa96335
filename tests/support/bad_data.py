"""Manifests and their files that turn out to be wrong when a cell runs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from support.bad_inputs import Case, Edit, Leaves, Says

DATASET = 'use = "shapes"\ncount = 9'
MANIFEST = (
    'use = "manifest"\npath = "rows.csv"\nimage_column = "file"\ntext_columns = ["caption"]\n'
    'label_column = "label"\nsplit_column = "split"'
)
SPLITS = ("train", "train", "train", "validation", "test")


def rows(labels: tuple[str, ...] = ("cat", "dog")) -> str:
    """An index of 15 pictures."""
    lines = [f'{n}.png,number {n},"{labels[n % len(labels)]}",{SPLITS[n // 3]}' for n in range(15)]
    return "\n".join(["file,caption,label,split", *lines, ""])


def pictures(folder: Path) -> None:
    for number in range(15):
        Image.new("RGB", (8, 8), (number * 10, 0, 0)).save(folder / f"{number}.png")


def manifest(
    name: str,
    says: Says,
    index: str | bytes | None,
    *,
    leaves: Leaves = "nothing",
    options: Edit = ("", ""),
    spoil: Callable[[Path], object] = lambda folder: None,
) -> Case:
    """A manifest with something wrong in it."""

    def prepare(folder: Path) -> None:
        pictures(folder)
        spoil(folder)

    edits = ((DATASET, MANIFEST.replace(*options) if options[0] else MANIFEST),)
    files = {} if index is None else {"rows.csv": index}
    return Case(name, 1, says, edits, prepare=prepare, leaves=leaves, files=dict(files))


def truncated(folder: Path) -> None:
    (folder / "14.png").write_bytes((folder / "14.png").read_bytes()[:50])


def bomb() -> bytes:
    """A picture of a few kilobytes that claims many pixels."""
    content = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(content, "PNG")
    return content.getvalue()


MANIFESTS = [
    manifest(
        "a missing manifest",
        Says("rows.csv", "cannot be read", "No such file", "at least one row", "set dataset.path"),
        None,
    ),
    manifest(
        "an empty manifest",
        Says("rows.csv", "it is empty", "0 bytes", "at least one row", "set dataset.path"),
        "",
    ),
    manifest(
        "a manifest without rows",
        Says("rows.csv", "it has no rows", "0 rows", "at least one row", "set dataset.path"),
        "file,caption,label,split\n",
    ),
    manifest(
        "a manifest that is not UTF-8",
        Says("rows.csv: line 3", "it is damaged", "d\\xffg", "in UTF-8", "as UTF-8"),
        rows().encode().replace(b"dog", b"d\xffg"),
    ),
    manifest(
        "an unknown column",
        Says(
            "rows.csv",
            "no column 'lable' (did you mean \"label\"?)",
            "'file', 'caption'",
            "the name of a column",
            "name an existing column",
        ),
        rows(),
        options=('"label"', '"lable"'),
    ),
    manifest(
        "an unknown split",
        Says(
            "rows.csv: row 10, column 'split'",
            'did you mean "validation"',
            "'valid'",
            "train, val",
            "correct the cell",
        ),
        rows().replace("validation", "valid"),
    ),
    replace(
        manifest(
            "no validation split for early stopping",
            Says(
                "spec.toml:5:1: dataset",
                "the validation split is empty",
                "0 samples",
                "a split with",
                "give",
            ),
            rows().replace("validation", "train"),
        ),
        arguments=("run", "spec.toml", "--device", "cpu", "--set", "train.patience=1"),
    ),
    manifest(
        "a missing picture",
        Says(
            "rows.csv: row 5, column 'file'",
            "no file of this name",
            "'4.png'",
            "a file below",
            "cell",
        ),
        rows(),
        spoil=lambda folder: (folder / "4.png").unlink(),
    ),
    manifest(
        "a picture outside the folder",
        Says(
            "rows.csv: row 5, column 'file'",
            "lies outside of the root and is refused",
            "/etc/passwd",
            "a file below",
            "correct the cell",
        ),
        rows().replace("4.png", "../../../../../../../etc/passwd", 1),
    ),
    manifest(
        "an undecodable picture",
        Says(
            "rows.csv: row 5, column 'file'",
            "picture cannot be read",
            "4.png: it begins with b'not a picture'",
            "JPEG, PNG, WEBP",
            "replace or convert",
        ),
        rows(),
        leaves="a failed run",
        spoil=lambda folder: (folder / "4.png").write_text("not a picture"),
    ),
    manifest(
        "a picture cut short, met after training",
        Says(
            "rows.csv: row 15, column 'file'",
            "picture cannot be read",
            "14.png",
            "JPEG, PNG, WEBP",
            "replace or convert",
        ),
        rows(),
        leaves="a failed run",
        spoil=truncated,
    ),
    manifest(
        "a picture that claims many pixels",
        Says(
            "rows.csv: row 2, column 'file'",
            "picture cannot be read",
            "1.png",
            "50,000,000 pixels",
            "replace or convert",
        ),
        rows(),
        leaves="a failed run",
        spoil=lambda folder: (folder / "1.png").write_bytes(bomb()),
    ),
    manifest(
        "a NUL in a label",
        Says(
            "rows.csv: row 2, column 'label'", "holds a NUL", "do\\x00g", "without NUL", "the cell"
        ),
        rows(("cat", "do\0g")),
    ),
    manifest(
        "a NUL in a caption",
        Says(
            "rows.csv: row 3, column 'caption'",
            "holds a NUL",
            "num\\x00ber 2",
            "without NUL",
            "cell",
        ),
        rows().replace("number 2", "num\0ber 2"),
    ),
    manifest(
        "one class only, with a head",
        Says(
            "spec.toml:5:1: dataset",
            "something to decide between",
            "1 label",
            "two labels",
            "[head]",
        ),
        rows(("only",)),
        leaves="a failed run",
    ),
    manifest(
        "a dataset without text",
        Says(
            "encoders.text",
            "has the modality 'text'",
            "modalities image",
            "a modality of",
            "choose",
        ),
        rows(),
        leaves="a failed run",
        options=('text_columns = ["caption"]\n', ""),
    ),
]

BENCHMARK = 'use = "benchmark"\ntest_set = "pets/test"\npath = "pets"'
SHARDS = 'use = "webdataset"\ntrain = "shards/{00..02}.tar"'


def shards(*contents: bytes) -> Callable[[Path], None]:
    """A folder with these files as its shards."""

    def prepare(folder: Path) -> None:
        (folder / "shards").mkdir()
        for number, content in enumerate(contents):
            (folder / "shards" / f"{number:02d}.tar").write_bytes(content)

    return prepare


def tar() -> bytes:
    """A whole tar of one caption."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        info = tarfile.TarInfo("a.txt")
        info.size = 5
        file.addfile(info, io.BytesIO(b"hello"))
    return content.getvalue()


PUBLISHED = [
    Case(
        "a published dataset that is not there",
        1,
        Says("pets/test in ", "incomplete", "annotations/trainval.txt", "all files", "unpack"),
        ((DATASET, BENCHMARK),),
    ),
    Case(
        "a test set of another name",
        3,
        Says("spec.toml:", 'did you mean "pets/test"', '"pet/test"', '"pets/test"', "choose"),
        ((DATASET, BENCHMARK.replace("pets/test", "pet/test")),),
    ),
    Case(
        "a missing shard",
        1,
        Says("shards/01.tar", "cannot be read", "1 more of 3", "whole tar", "fetch"),
        ((DATASET, SHARDS),),
        prepare=shards(tar()),
    ),
    Case(
        "a shard cut short",
        1,
        Says("shards/00.tar", "cannot be read", "", "whole tar", "fetch"),
        ((DATASET, SHARDS),),
        prepare=shards(tar()[:700], tar(), tar()),
    ),
]

CASES = [*MANIFESTS, *PUBLISHED]
