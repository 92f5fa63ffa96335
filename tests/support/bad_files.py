"""Files that are no spec, sweeps and overrides, refused before anything runs."""

from __future__ import annotations

from support.bad_inputs import SPEC, Case, Says
from support.bad_specs import refused


def override(name: str, text: str, says: Says) -> Case:
    """A `--set` that is refused."""
    return Case(name, 3, says, arguments=("run", "spec.toml", "--set", text))


def patched(name: str, text: str, says: Says) -> Case:
    """A `--set-file` that is refused."""
    arguments = ("run", "spec.toml", "--set-file", "patch.toml", "--dry-run")
    return Case(name, 3, says, arguments=arguments, files={"patch.toml": text})


def whole(name: str, content: str | bytes, says: Says) -> Case:
    """A file that is no spec at all."""
    return Case(name, 3, says, files={"spec.toml": content})


SYNTAX = [
    refused(
        "syntax error",
        ("[head]", "[head"),
        Says(
            "spec.toml:24:6", "closing bracket", "the end of the line", "TOML 1.0", "write [head]"
        ),
    ),
    whole(
        "a NUL in the text",
        b'name = "b\0d"\n',
        Says("spec.toml:1:10", "a control character", "\\u0000", "TOML 1.0", "remove it"),
    ),
    whole(
        "not UTF-8",
        b'name = "\xff"\n',
        Says("spec.toml:1:9", "not UTF-8", "byte 0xff", "UTF-8", "save the file as UTF-8"),
    ),
    whole(
        "huge",
        f'name = "{"x" * 1_100_000}"\n',
        Says("spec.toml", "too large", "more than 1,048,576", "at most 1,048,576", "keep data in"),
    ),
    whole(
        "nested",
        "a = " + "[" * 1000 + "]" * 1000 + "\n",
        Says("spec.toml:1:37", "nested too deeply", "more than 32", "at most 32", "flatter"),
    ),
    whole(
        "many keys",
        "".join(f"k{n} = 1\n" for n in range(20_000)),
        Says(
            "spec.toml:10001", "too many keys", "more than 10,000", "at most", "a file of its own"
        ),
    ),
    whole(
        "empty",
        "",
        Says("spec.toml", "schema_version: missing", "no such key", "1", "add schema_version"),
    ),
    whole(
        "a newer format",
        SPEC.replace("schema_version = 1", "schema_version = 2"),
        Says("spec.toml:2:18", "schema_version", "2", "1", "correct"),
    ),
]

FILES = [
    Case(
        "a missing spec",
        3,
        Says("nothing.toml", "cannot be read", "No such file", "a TOML file", "correct the path"),
        arguments=("run", "nothing.toml"),
    ),
    Case(
        "a folder as spec",
        3,
        Says(".", "cannot be read", "not an ordinary file", "a TOML file", "correct the path"),
        arguments=("run", "."),
    ),
    refused(
        "extends a missing file",
        ("schema_version", 'extends = ["other.toml"]\nschema_version'),
        Says("spec.toml:2:12", "cannot be read", "other.toml: No such", "that exists", "the path"),
    ),
    refused(
        "extends in a circle",
        ("schema_version", 'extends = ["other.toml"]\nschema_version'),
        Says(
            "other.toml:1:12", "in a circle", "spec.toml -> other.toml -> spec", "end in", "remove"
        ),
        files={"other.toml": 'extends = ["spec.toml"]\n'},
    ),
]

SWEEPS = [
    refused(
        "a seed twice",
        ("[head]", "[sweep]\nseeds = [1, 2, 1]\n\n[head]"),
        Says("spec.toml:25:16", "sweep.seeds.2: named twice", "1", "different seeds", "remove it"),
    ),
    refused(
        "an axis of nothing",
        ("[head]", '[sweep.axes]\n"fusoin.dim" = [4, 5]\n\n[head]'),
        Says("spec.toml:25:1", "a sweep cannot vary this", "fusoin.dim", "fusion", "fusion"),
    ),
    refused(
        "a member of the wrong type",
        ("[head]", '[sweep.axes]\n"fusion.dim" = [4, "x"]\n\n[head]'),
        Says("spec.toml:25:20", "fusion.dim: wrong type", '"x"', "an integer >= 1", "of this type"),
    ),
    refused(
        "the same cell twice",
        ("[head]", '[sweep.axes]\n"fusion.dim" = [4, 4]\n\n[head]'),
        Says(
            "spec.toml:25:20",
            "a cell that the sweep already has",
            "twice",
            "points that differ",
            "remove the repetition",
        ),
    ),
    refused(
        "too many cells",
        ("[head]", f"[sweep]\nseeds = {list(range(2000))}\n\n[head]"),
        Says("spec.toml:24:1", "too many cells", "2,000", "at most 1,000", "max_cells"),
    ),
]

OVERRIDES = [
    override(
        "an override of an unknown key",
        "train.epohcs=3",
        Says(
            "--set #1, column 1",
            'unknown key (did you mean "epochs"?)',
            "epohcs",
            "epochs",
            "renam",
        ),
    ),
    override(
        "an override of an unknown table",
        "trian.epochs=3",
        Says(
            "--set #1, column 1", 'no such table (did you mean "train"?)', "trian", "train", "write"
        ),
    ),
    override(
        "an override without value",
        "train.epochs",
        Says("--set #1, column 1", "PATH=VALUE", "train.epochs", "dotted keys", "--set PATH=VALUE"),
    ),
    override(
        "an override of the wrong type",
        "train.epochs=many",
        Says("--set #1, column 14", "wrong type", '"many"', "an integer >= 1", "of this type"),
    ),
    override(
        "an override of an element that is not there",
        "losses.4.weight=2.0",
        Says("--set #1, column 1", "no such element", "4", "0 to 0", "by its position"),
    ),
]

PATCHES = [
    patched(
        "a patch of an unknown key",
        "[train]\nepohcs = 3\n",
        Says(
            "patch.toml:2:1", 'unknown key (did you mean "epochs"?)', "epohcs", "epochs", "rename"
        ),
    ),
    patched(
        "a patch of an unknown table",
        "[trian]\nepochs = 3\n",
        Says("patch.toml:1:2", 'unknown key (did you mean "train"?)', "trian", "train", "rename"),
    ),
    patched(
        "a patch of an encoder that is not there",
        "[encoders.imgae]\ndim = 3\n",
        Says("patch.toml:1:11", 'no such table (did you mean "image"?)', "imgae", "text", "write"),
    ),
    patched(
        "a patch with an unknown option",
        "[encoders.image]\npixles = 3\n",
        Says("patch.toml:2:1", '(did you mean "pixels"?)', "pixles", "pixels", "rename"),
    ),
    patched(
        "a patch that extends",
        'extends = ["other.toml"]\n',
        Says("patch.toml:1:1", "before overrides are set", "extends", "other key", "in a file"),
    ),
    patched(
        "a patch that is no TOML",
        "[train\n",
        Says("patch.toml:1:7", "not valid TOML", "the end of the line", "TOML 1.0", "[train]"),
    ),
    Case(
        "a missing patch",
        3,
        Says("none.toml", "cannot be read", "No such file", "a TOML file", "correct the path"),
        arguments=("validate", "spec.toml", "--set-file", "none.toml"),
    ),
]

CASES = [*SYNTAX, *FILES, *SWEEPS, *OVERRIDES, *PATCHES]
