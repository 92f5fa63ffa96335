"""Options and arguments of the command that cannot be followed."""

from __future__ import annotations

import os

from bad_inputs import Case, Says

CASES = [
    Case(
        "an argument that is not UTF-8",
        2,
        Says("the command line", "not UTF-8", "\\udcff", "in UTF-8", "rename the file"),
        arguments=("show", "@last", "--sample", "\udcff"),
    ),
    Case(
        "a report in place of a folder",
        2,
        Says("folder.md", "cannot be written", "a folder", "a file in a folder", "another file"),
        arguments=("report", "--out", "folder.md/"),
        prepare=lambda folder: (folder / "folder.md").mkdir(),
    ),
    Case(
        "a report in place of a pipe",
        2,
        Says("pipe.md", "the report cannot be written", "a pipe", "a file in a folder", "another"),
        arguments=("report", "--out", "pipe.md"),
        prepare=lambda folder: os.mkfifo(folder / "pipe.md"),
    ),
    Case(
        "a schema in place of a pipe",
        2,
        Says("pipe", "the file cannot be written", "a pipe", "a file in a folder", "another file"),
        arguments=("schema", "--out", "pipe"),
        prepare=lambda folder: os.mkfifo(folder / "pipe"),
    ),
    Case(
        "a first spec where there is one",
        2,
        Says("spec.toml", "there is such a file", "bytes", "where nothing is yet", "mmlab init"),
        arguments=("init", "spec.toml"),
    ),
    Case(
        "a run that is not there",
        2,
        Says("run 'nothing'", "there is no such run", "none", "@last", "mmlab ls"),
        arguments=("show", "nothing"),
    ),
    Case(
        "a sample that is not there",
        2,
        Says("run ", "is stored for this sample", "\\U0001f600", "shape-200000", "name one of"),
        arguments=("show", "@last", "--sample", "😀"),
    ),
    Case(
        "a report in a format that is not there",
        2,
        Says("x.docx", "no such format", "docx", "html, md, csv", "name one of these"),
        arguments=("report", "--out", "x.docx"),
    ),
    Case(
        "more memory than there is",
        1,
        Says(
            "spec.toml: train.batch_size", "memory does not hold", "allocate", "that fits", "lower"
        ),
        (("dim = 4\n\n[encoders.text]", "dim = 100_000_000_000_000\n\n[encoders.text]"),),
        leaves="a failed run",
    ),
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
