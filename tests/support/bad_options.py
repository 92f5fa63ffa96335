"""Options and arguments of the command that cannot be followed."""

from __future__ import annotations

import os

from support.bad_inputs import Case, Says

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
        Says("x.docx", "no such format", "docx", "html, md, tex, csv", "name one of these"),
        arguments=("report", "--out", "x.docx"),
    ),
    Case(
        "an encoder of more memory than there is",
        1,
        Says(
            "spec.toml:9:1: encoders.image: ",
            "memory does not hold this encoder",
            "tried to allocate 4,800,000,000,000,000 bytes",
            "what fits",
            "smaller widths",
        ),
        (("dim = 4\n\n[encoders.text]", "dim = 100_000_000_000_000\n\n[encoders.text]"),),
        leaves="a failed run",
    ),
    Case(
        "a fusion of more memory than there is",
        1,
        Says(
            "spec.toml:20:1: fusion: ",
            "too little memory for the parameters of this model",
            "bytes needed for 3,6",
            "bytes: what is free on cpu",
            "smaller widths",
        ),
        arguments=("run", "spec.toml", "--device", "cpu", "--set", "fusion.dim=99999999999999"),
        leaves="a failed run",
    ),
    Case(
        "an encoder of more memory than can be counted",
        1,
        Says(
            "spec.toml:9:1: encoders.image: ",
            "memory does not hold this encoder",
            "more bytes than 64 bits count",
            "what fits",
            "smaller widths",
        ),
        (("dim = 4\n\n[encoders.text]", f"dim = {2**62}\n\n[encoders.text]"),),
        leaves="a failed run",
    ),
    Case(
        "a sweep without seeds",
        3,
        Says(
            "--set #1, column 13: sweep.seeds",
            "too few",
            "[]",
            "an array of at least 1, each an integer >= 0 and < 4294967296",
            "add what is missing",
        ),
        arguments=("run", "spec.toml", "--set", "sweep.seeds=[]"),
    ),
    Case(
        "an option that an encoder refuses while it is built",
        1,
        Says(
            "--set #1, column 21: encoders.text: heads: ",
            "attention heads must divide the width",
            "5",
            "",
            "",
        ),
        arguments=("run", "spec.toml", "--device", "cpu", "--set", "encoders.text.heads=5"),
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
