"""Data, components and weights that turn out to be wrong when a cell runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bad_inputs import SPEC, Case, Edit, Leaves, Says
from PIL import Image

DATASET = 'use = "shapes"\ncount = 9'
LOSS = 'use = "cross_entropy"'
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


def planted(fault: str, says: Says, *, leaves: Leaves = "a failed run") -> Case:
    """A dataset of the hostile plugin; its pictures are vectors, so `wide` reads them."""
    dataset = (DATASET, f'use = "planted"\nfault = "{fault}"')
    encoder = ('use = "grid"\npixels = 8\ncells = 2\ndim = 4', 'use = "wide"')
    return Case(f"data: {fault}", 1, says, (dataset, encoder), leaves=leaves)


def loss(fault: str, says: Says) -> Case:
    """A loss of the hostile plugin that goes wrong at its fourth call."""
    edit = (LOSS, f'use = "broken"\nfault = "{fault}"\nstep = 4')
    return Case(f"loss: {fault}", 1, says, (edit,), leaves="a failed run")


def weights(name: str, table: str, says: Says, *, leaves: Leaves = "nothing", **files: str) -> Case:
    """Weights that an encoder cannot start from."""
    edit = ("dim = 4\n\n[encoders.text]", f"dim = 4\nweights = {table}\n\n[encoders.text]")
    return Case(name, 1, says, (edit,), leaves=leaves, files=dict(files))


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
        Says(
            "Manifest, option 'path'",
            "cannot be read",
            "rows.csv: No such",
            "exists",
            "correct the",
        ),
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
        Says("rows.csv", "it is damaged", "utf-8", "at least one row", "repair the file"),
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
                "spec.toml: dataset",
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
            "no file of this name",
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
            "4.png: cannot identify",
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
            "spec.toml: dataset", "something to decide between", "1 label", "two labels", "[head]"
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

PLANTED = [
    planted(
        "empty",
        Says(
            "spec.toml: dataset", "the train split is empty", "0 samples", "a split with", "correct"
        ),
        leaves="nothing",
    ),
    planted(
        "no_test",
        Says(
            "spec.toml: evaluate.classification",
            "test split is empty",
            "0 samples",
            "a split",
            "set",
        ),
        leaves="nothing",
    ),
    planted(
        "one_label",
        Says(
            "spec.toml: dataset", "something to decide between", "1 label", "two labels", "[head]"
        ),
    ),
    planted(
        "no_labels",
        Says(
            "spec.toml: dataset", "something to decide between", "0 labels", "two labels", "[head]"
        ),
    ),
    planted(
        "nul_label",
        Says("dataset 'planted', label 1", "holds a NUL", "b\\x00c", "without NUL", "correct it"),
        leaves="nothing",
    ),
    planted(
        "half_a_surrogate",
        Says(
            "dataset 'planted', label 1", "surrogate", "b\\ud800", "lone surrogates", "correct it"
        ),
        leaves="nothing",
    ),
    planted(
        "nul_caption",
        Says("dataset: sample 'n0', text", "holds a NUL", "a\\x00b", "without NUL", "correct it"),
    ),
    planted(
        "nul_id",
        Says(
            "dataset: sample 'nul-\\x00-0', id",
            "holds a NUL",
            "nul-\\x00-0",
            "without",
            "correct it",
        ),
    ),
    planted(
        "label_beyond",
        Says(
            "dataset: sample 'n0'",
            "a label id has no label",
            "label id 99",
            "0 to 2",
            "correct the",
        ),
    ),
    planted(
        "unlabelled",
        Says(
            "evaluate.classification",
            "no sample can take part",
            "9 samples",
            "a known label",
            "choose",
        ),
    ),
    planted(
        "no_text",
        Says(
            "encoders.text",
            "has the modality 'text'",
            "modalities image",
            "a modality of",
            "choose",
        ),
    ),
    planted(
        "raises",
        Says(
            "spec.toml: hostile-mmlab 0.3",
            "ValueError was raised in a component",
            "has gone away",
            "without an error",
            "authors of hostile-mmlab",
        ),
    ),
    planted(
        "exits",
        Says(
            "spec.toml: hostile-mmlab 0.3",
            "SystemExit was raised",
            "ends the program",
            "without an error",
            "authors of hostile-mmlab",
        ),
    ),
    planted(
        "does_not_begin",
        Says(
            "spec.toml: hostile-mmlab 0.3",
            "RuntimeError was raised",
            "no such disk",
            "without an error",
            "authors of hostile-mmlab",
        ),
        leaves="nothing",
    ),
]

TRAINING = [
    loss(
        "nan",
        Says(
            "training step 4", "not finite", "last finite values: loss", "finite numbers", "lower"
        ),
    ),
    loss(
        "raises",
        Says(
            "spec.toml: hostile-mmlab 0.3",
            "ValueError was raised",
            "has had enough",
            "without",
            "authors of hostile-mmlab",
        ),
    ),
    loss(
        "exits",
        Says(
            "spec.toml: hostile-mmlab 0.3",
            "SystemExit was raised",
            "ends the program",
            "without",
            "authors of hostile-mmlab",
        ),
    ),
    loss(
        "vector",
        Says(
            "losses.broken", "not give what a loss gives", "(3,)", "tensors without axes", "author"
        ),
    ),
    loss(
        "memory",
        Says(
            "spec.toml: train.batch_size",
            "memory does not hold",
            "batch_size 3; tried",
            "that fits",
            "lower train.batch_size",
        ),
    ),
    Case(
        "a learning rate beyond all bounds",
        1,
        Says("training step 2", "not finite", "step 2", "finite numbers", "lower train.lr"),
        ((LOSS, LOSS), ("epochs = 2", "epochs = 2\nlr = 1e30")),
        leaves="a failed run",
    ),
    Case(
        "a batch larger than the data",
        1,
        Says(
            "spec.toml: train.batch_size",
            "does not fill one batch",
            "9 training samples, batch_size",
            "1 to 9",
            "lower train.batch_size",
        ),
        (("batch_size = 3", "batch_size = 300"),),
    ),
    Case(
        "train.best names no metric of its evaluation",
        1,
        Says(
            "train.best", "no such metric", "classification/topp1", "classification/top1", "one of"
        ),
        (("epochs = 2", 'epochs = 2\nbest = "classification/topp1"'),),
        leaves="a failed run",
    ),
    Case(
        "an encoder of another width than it says",
        1,
        Says("encoders.image", "another shape than it declares", "(3, 5)", "(3, 4)", "author"),
        (
            (DATASET, 'use = "planted"'),
            ('use = "grid"\npixels = 8\ncells = 2\ndim = 4', 'use = "wide"\nexcess = 1'),
        ),
        leaves="a failed run",
    ),
]

WEIGHTS = [
    weights(
        "a missing file of weights",
        '{ file = "no.safetensors" }',
        Says(
            "spec.toml: encoders.image.weights",
            "no such weights file",
            "no.safetensors",
            "a safetensors file",
            "correct the path",
        ),
    ),
    weights(
        "a folder as weights",
        '{ file = "mmlab-runs" }',
        Says(
            "spec.toml: encoders.image.weights",
            "no such weights file",
            "is a folder",
            "a safetensors file",
            "correct the path",
        ),
    ),
    weights(
        "weights that are something else",
        '{ file = "notes.txt" }',
        Says(
            "notes.txt", "cannot be read as safetensors", "header", "a safetensors file", "restore"
        ),
        **{"notes.txt": "these are my notes"},
    ),
    weights(
        "weights of an experiment that never ran",
        '{ run = "other" }',
        Says(
            "spec.toml: encoders.image.weights",
            "no finished run of 'other'",
            "none",
            "has finished",
            "run that experiment first",
        ),
    ),
]

OPTIONS = [
    Case(
        "an unknown device",
        2,
        Says("--device", "no such device", "banana", "auto, cpu", "does not fall back"),
        arguments=("run", "spec.toml", "--device", "banana"),
    ),
    Case(
        "a file where the weights should go",
        2,
        Says("spec.toml", "weights cannot be kept there", "not a folder", "a folder", "--runs"),
        arguments=("run", "spec.toml", "--device", "cpu", "--runs", "spec.toml"),
    ),
    Case(
        "a folder below a file where the weights should go",
        2,
        Says(
            "spec.toml/runs",
            "weights cannot be kept there",
            "spec.toml is not a folder",
            "a folder",
            "--runs",
        ),
        arguments=("run", "spec.toml", "--device", "cpu", "--runs", "spec.toml/runs"),
    ),
]

CASES = [*MANIFESTS, *PLANTED, *TRAINING, *WEIGHTS, *OPTIONS]
assert SPEC.count(DATASET) == 1, "the edits above must fit the spec"
