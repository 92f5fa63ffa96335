"""Specs with wrong keys, values and components, refused before anything runs."""

from __future__ import annotations

from support.bad_inputs import Case, Edit, Says

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
        "a key that is elsewhere now",
        (EPOCHS, f"{EPOCHS}\nbetas = [0.9, 0.98]"),
        Says(
            "spec.toml:32:1",
            "unknown key: this is train.optimizer.betas here",
            "betas",
            "optimizer, schedule",
            "write betas in [train.optimizer]",
        ),
    ),
    refused(
        "an option of another optimiser",
        (EPOCHS, f'{EPOCHS}\noptimizer = {{ use = "sgd", betas = [0.9, 0.98] }}'),
        Says(
            "spec.toml:32:28",
            'unknown option of the optimizer "sgd"',
            "betas",
            "momentum, nesterov",
            "remove it",
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
            "spec.toml:7:9",
            "dataset.count: out of range",
            "1",
            ">= 9 and <= 90000",
            "within the range",
        ),
    ),
    refused(
        "NaN option",
        (LOSS, 'use = "hinge"\nmargin = nan'),
        Says("spec.toml:29:10", "not a finite number", "nan", "a finite number > 0", "within"),
    ),
    refused(
        "infinite learning rate",
        (EPOCHS, f"{EPOCHS}\nlr = inf"),
        Says("spec.toml:32:6", "train.lr: not a finite", "inf", "a finite number > 0", "set"),
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
        Says("spec.toml:31:1", "in line 30", "[[meta]]", "TOML 1.0", "write [meta]"),
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
        "unknown optimiser",
        (EPOCHS, f'{EPOCHS}\noptimizer = {{ use = "adam" }}'),
        Says(
            "spec.toml:32:21",
            'no installed plugin has it (did you mean "adamw"?)',
            "adam",
            "adafactor, adamw, muon, sgd",
            'use "adamw"',
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
            "name two encoders in fusion.inputs (found 1: image)",
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
            "names no loss and no evaluation of this spec",
            "topp1",
            "EVALUATION/METRIC of classification",
            "name a metric such as",
        ),
    ),
    refused(
        "train.best names a metric that the data do not have",
        (EPOCHS, f'{EPOCHS}\nbest = "classification/mAP"'),
        Says(
            "spec.toml:32:8",
            "of several labels a sample",
            "classification/mAP",
            "classification/top1",
            'write "classification/top1"',
        ),
    ),
    refused(
        "a mode against the metric",
        (EPOCHS, f'{EPOCHS}\nbest_mode = "max"'),
        Says(
            "spec.toml:32:13", "declared to be better lower", '"max"', '"auto", "min"', "remove it"
        ),
    ),
    refused(
        "an optimiser of whole parameters under fsdp",
        (EPOCHS, f'{EPOCHS}\nparallel = "fsdp"\noptimizer = {{ use = "muon" }}'),
        Says(
            "spec.toml:32:12",
            'the optimiser "muon" does not go with this',
            '"fsdp"',
            '"ddp"',
            'set parallel = "ddp"',
        ),
    ),
    refused(
        "an encoder named like a part of torch's containers",
        ("[encoders.text]", '[encoders.keys]\nmodality = "text"'),
        Says("spec.toml:15:1", "cannot be given to a part", "'keys'", "without a dot", "my_keys"),
    ),
    refused(
        "a loss with a dot in its name",
        (LOSS, f'{LOSS}\nname = "a.b"'),
        Says("spec.toml:29:8", "cannot be given to a part", "'a.b'", "without a dot", "my_a_b"),
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

CASES = [*KEYS, *COMPONENTS, *CONTRADICTIONS]
