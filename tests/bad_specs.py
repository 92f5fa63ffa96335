"""Specs and overrides that are refused before anything runs, with what is said of each."""

from __future__ import annotations

from bad_inputs import SPEC, Case, Edit, Says

RUN = ("run", "spec.toml", "--device", "cpu")
HEAD = '[head]\nuse = "linear"\n\n'
LOSS = 'use = "cross_entropy"'
EPOCHS = "epochs = 2"


def refused(
    name: str,
    edit: Edit | None,
    says: Says,
    *,
    exit_code: int = 3,
    files: dict[str, str] | None = None,
) -> Case:
    """A spec that is refused when it is read."""
    return Case(name, exit_code, says, edits=(edit,) if edit else (), files=dict(files or {}))


def override(name: str, text: str, says: Says) -> Case:
    """A `--set` that is refused."""
    return Case(name, 3, says, arguments=(*RUN, "--set", text))


def whole(name: str, content: str | bytes, says: Says) -> Case:
    """A file that is no spec at all."""
    return Case(name, 3, says, files={"spec.toml": content})


SYNTAX = [
    refused(
        "syntax error",
        ("[head]", "[head"),
        Says("spec.toml:24:6", "not valid TOML", "the end of the line", "TOML 1.0", "correct"),
    ),
    whole(
        "a NUL in the text",
        b'name = "b\0d"\n',
        Says("spec.toml:1:10", "Illegal character", "\\u0000", "TOML 1.0", "correct the file"),
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

KEYS = [
    refused(
        "unknown key",
        ("batch_size", "lr = 0.1\nbatchsize = 3\nbatch_size"),
        Says(
            "spec.toml:33:1",
            'unknown key (did you mean "batch_size"?)',
            "batchsize",
            "epochs, max",
            'rename it to "batch_size"',
        ),
    ),
    refused(
        "unknown table",
        ("[head]", "[haed]"),
        Says(
            "spec.toml:24:2",
            'haed: unknown key (did you mean "head"?)',
            "haed",
            "dataset",
            '"head"',
        ),
    ),
    refused(
        "unknown option",
        (LOSS, 'use = "hinge"\nmargn = 1.0'),
        Says(
            "spec.toml:29:1",
            'unknown option of the loss "hinge" (did you mean "margin"?)',
            "margn",
            "margin",
            'rename it to "margin"',
        ),
    ),
    refused(
        "wrong type",
        ("batch_size = 3", 'batch_size = "3"'),
        Says("spec.toml:32:14", "train.batch_size: wrong type", '"3"', "an integer >= 1", "quotes"),
    ),
    refused(
        "wrong type of an option",
        (LOSS, 'use = "hinge"\nmargin = "1"'),
        Says("spec.toml:29:10", "losses.0.margin: wrong type", '"1"', "a number > 0", "quotes"),
    ),
    refused(
        "option out of range",
        ("count = 9", "count = 1"),
        Says(
            "spec.toml:7:9", "dataset.count: out of range", "1", ">= 9 <= 90000", "within the range"
        ),
    ),
    refused(
        "NaN option",
        (LOSS, 'use = "hinge"\nmargin = nan'),
        Says("spec.toml:29:10", "not a finite number", "nan", "a finite number", "set a number"),
    ),
    refused(
        "infinite learning rate",
        (EPOCHS, f"{EPOCHS}\nlr = inf"),
        Says("spec.toml:32:6", "train.lr: not a finite", "inf", "a finite number", "set a number"),
    ),
    refused(
        "an integer beyond 64 bits",
        (EPOCHS, "epochs = 99999999999999999999"),
        Says("spec.toml:31:10", "too large", "of 67 bits", "64 bits", "a smaller one"),
    ),
    refused(
        "a NUL in a value",
        ('name = "bad"', 'name = "b\\u0000d"'),
        Says(
            "spec.toml:3:8", "no database can hold", "U+0000", "any character but NUL", "remove it"
        ),
    ),
    refused(
        "a name with a slash",
        ('name = "bad"', 'name = "../bad"'),
        Says("spec.toml:3:8", "name: not of the form", '"../bad"', "matching", "in that form"),
    ),
    refused(
        "a table twice",
        (LOSS, f"{LOSS}\n\n[meta]\n[[meta]]"),
        Says("spec.toml:31", "not valid TOML", "", "TOML 1.0", "correct the file"),
    ),
]

COMPONENTS = [
    refused(
        "unknown component",
        ('use = "product"', 'use = "prodcut"'),
        Says(
            "spec.toml:21:7",
            'no installed plugin has it (did you mean "product"?)',
            "prodcut",
            "concat",
            'use "product"',
        ),
        exit_code=4,
    ),
    refused(
        "unknown dataset",
        ('use = "shapes"', 'use = "/etc/passwd"'),
        Says("spec.toml:6:7", "no installed plugin has it", "/etc/passwd", "shapes", "install"),
        exit_code=4,
    ),
    refused(
        "broken plugin",
        ('use = "product"', 'use = "in_the_broken_plugin"'),
        Says("spec.toml:21:7", "no installed plugin has it", "in_the_broken", "concat", "install"),
        exit_code=4,
    ),
    refused(
        "a component that cannot be imported",
        ('use = "grid"\npixels = 8\ncells = 2\ndim = 4', 'use = "absent"'),
        Says(
            "spec.toml:10:7",
            "hostile-mmlab 0.3 cannot import it",
            "No module named 'no_such_mod",
            "a target that imports",
            "reinstall hostile-mmlab",
        ),
        exit_code=4,
    ),
    refused(
        "a component with a signature that is none",
        (LOSS, 'use = "greedy"'),
        Says(
            "spec.toml:28:7", "signature cannot be read", "**kwargs", "keyword-only", "name every"
        ),
        exit_code=4,
    ),
    refused(
        "a loss that does not say what it reads",
        (LOSS, 'use = "silent"'),
        Says(
            "loss 'silent' of hostile-mmlab",
            "`reads` must be declared",
            "None",
            "a frozenset",
            "tell the plugin's",
        ),
        exit_code=4,
    ),
]

CONTRADICTIONS = [
    refused(
        "a head on a fusion without vector",
        ('use = "product"\ndim = 4', 'use = "dot"'),
        Says(
            "spec.toml:23:1",
            "a head reads the model's vector",
            "similarity",
            "that gives a vector",
            "add a fusion that gives a vector",
        ),
    ),
    refused(
        "a loss that reads a prediction without a head",
        (HEAD, ""),
        Says(
            "spec.toml:24:1",
            "'cross_entropy' reads the model's prediction",
            "vector",
            "a [head]",
            "add a [head]",
        ),
    ),
    Case(
        "an evaluator without similarity",
        3,
        Says(
            "spec.toml:35:1",
            "'zero_shot' reads the model's similarity",
            "prediction, vector",
            "exactly two inputs",
            "add a fusion of exactly two inputs",
        ),
        edits=(
            ('use = "product"', 'use = "product"\ninputs = ["image"]'),
            ('use = "classification"', 'use = "zero_shot"'),
        ),
    ),
    refused(
        "two losses of one name",
        ("[train]", f"[[losses]]\n{LOSS}\n\n[train]"),
        Says("spec.toml:30:1", "have one name", '"cross_entropy"', "different names", "add name"),
    ),
    refused(
        "two evaluations of one name",
        ("[train]", '[[evaluate]]\nuse = "classification"\n\n[train]'),
        Says("spec.toml:37:1", "have one name", '"classification"', "different names", "add name"),
    ),
    refused(
        "fusion inputs that name no encoder",
        ('use = "product"', 'use = "product"\ninputs = ["image", "txet"]'),
        Says(
            "spec.toml:22:20",
            'no such encoder (did you mean "text"?)',
            '"txet"',
            "image, text",
            "add [encoders.txet]",
        ),
    ),
    refused(
        "train.best names nothing",
        (EPOCHS, f'{EPOCHS}\nbest = "topp1"'),
        Says(
            "spec.toml:32:8",
            "names no loss and no evaluation",
            "topp1",
            "classification, cross_en",
            "name a metric",
        ),
    ),
    refused(
        "training without an end",
        (f"{EPOCHS}\n", ""),
        Says(
            "spec.toml:30:1", "when training ends", "neither epochs", "epochs, max_steps", "add ep"
        ),
    ),
    refused(
        "weights of two sources",
        ("width = 32", 'width = 32\nweights = { run = "one", file = "two" }'),
        Says("spec.toml:18:33", "names two sources", "run and file", "one of run, file", "remove"),
    ),
    refused(
        "weights of itself",
        ("width = 32", 'width = 32\nweights = { run = "bad" }'),
        Says(
            "spec.toml", "encoders.text.weights.run: experiments wait", "bad", "an order", "remove"
        ),
    ),
    refused(
        "a template without a place for the label",
        ('use = "classification"', 'use = "zero_shot"\ntemplates = ["a photo"]'),
        Says(
            "spec.toml:36:14", "exactly one {}", '"a photo"', "a text with one {}", "put {} where"
        ),
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

CASES = [*SYNTAX, *FILES, *KEYS, *COMPONENTS, *CONTRADICTIONS, *SWEEPS, *OVERRIDES]
