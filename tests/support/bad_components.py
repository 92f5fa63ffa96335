"""Datasets, losses, encoders and weights that go wrong when a cell runs."""

from __future__ import annotations

from support.bad_data import DATASET
from support.bad_inputs import Case, Leaves, Says

LOSS = 'use = "cross_entropy"'


def planted(fault: str, says: Says, *, leaves: Leaves = "a failed run") -> Case:
    """A dataset of the hostile plugin; its pictures are vectors, so `wide` reads them."""
    dataset = (DATASET, f'use = "planted"\nfault = "{fault}"')
    encoder = ('use = "grid"\npixels = 8\ncells = 2\ndim = 4', 'use = "wide"')
    return Case(f"data: {fault}", 1, says, (dataset, encoder), leaves=leaves)


def loss(fault: str, says: Says) -> Case:
    """A loss of the hostile plugin that goes wrong at its fourth call."""
    edit = (LOSS, f'use = "broken"\nfault = "{fault}"\nstep = 4')
    return Case(f"loss: {fault}", 1, says, (edit,), leaves="a failed run")


def weights(name: str, table: str, says: Says) -> Case:
    """Weights that an encoder cannot start from."""
    edit = ("dim = 4\n\n[encoders.text]", f"dim = 4\nweights = {table}\n\n[encoders.text]")
    return Case(name, 1, says, (edit,), files={"notes.txt": "these are my notes"})


PLANTED = [
    planted(
        "empty",
        Says(
            "spec.toml:5:1: dataset",
            "the train split is empty",
            "0 samples",
            "a split with",
            "correct",
        ),
        leaves="nothing",
    ),
    planted(
        "no_test",
        Says(
            "spec.toml:31:1: evaluate.classification",
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
            "spec.toml:5:1: dataset",
            "something to decide between",
            "1 label",
            "two labels",
            "[head]",
        ),
    ),
    planted(
        "no_labels",
        Says(
            "spec.toml:5:1: dataset",
            "something to decide between",
            "0 labels",
            "two labels",
            "[head]",
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
            "spec.toml:34:14: train.batch_size",
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
            "spec.toml:32:14: train.batch_size",
            "does not fill one batch",
            "9 training samples, batch_size",
            "1 to 9",
            "lower train.batch_size",
        ),
        (("batch_size = 3", "batch_size = 300"),),
    ),
    Case(
        "a weight of a label that there is not",
        1,
        Says(
            "spec.toml:29:18: losses.0.label_weight.squares: ",
            "no label of this name (did you mean 'square'?)",
            "'squares'",
            "'square'",
            "correct the name",
        ),
        ((LOSS, f"{LOSS}\nlabel_weight = {{ squares = 2.0 }}"),),
        leaves="a failed run",
    ),
    Case(
        "train.best names no metric of its evaluation",
        3,
        Says(
            "spec.toml:32:8: train.best",
            'no such metric (did you mean "classification/top1"?)',
            "classification/topp1",
            "classification/top5",
            'write "classification/top1"',
        ),
        (("epochs = 2", 'epochs = 2\nbest = "classification/topp1"'),),
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
            "spec.toml:14:20: encoders.image.weights",
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
            "spec.toml:14:20: encoders.image.weights",
            "no such weights file",
            "a folder",
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
    ),
    weights(
        "weights of an experiment with a mistake in its name",
        '{ run = "bda" }',
        Says("spec.toml:14:19", 'did you mean "bad"?', '"bda"', "has finished: bad", "correct the"),
    ),
    weights(
        "weights of an experiment that never ran",
        '{ run = "other" }',
        Says(
            "spec.toml:14:19: encoders.image.weights.run",
            "no finished run of 'other'",
            '"other"',
            "has finished: bad",
            "run that experiment first",
        ),
    ),
]

CASES = [*PLANTED, *TRAINING, *WEIGHTS]
