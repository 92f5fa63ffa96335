"""What other tools call the keys of a spec, and what each is here: one table of synonyms.

A name that an unknown key has elsewhere is no misspelling, so the most similar key is no help.
"""

from __future__ import annotations

from typing import NamedTuple


class Synonym(NamedTuple):
    """Another tool's name of a key or value: where it is met, what it is here, what to write.

    `tables` are top-level tables, "spec" for the top itself, "component" for every table that
    names one with `use`, "optimizer" for [train.optimizer], and "value" for a text after a key.
    """

    tables: tuple[str, ...]
    name: str
    meaning: str
    next_step: str


def _renamed(tables: str, name: str, key: str, step: str = "") -> Synonym:
    return Synonym(tuple(tables.split()), name, f"`{key}` here", step or f"write {key}")


def _moved(tables: str, name: str, table: str, key: str) -> Synonym:
    meaning = f"{table}.{key} here"
    step = f"write {key} in [{table}]"
    if table != "train":
        step += ", which names `use`"
    return Synonym(tuple(tables.split()), name, meaning, step)


_ACCUMULATION = (
    "the other way round here: batch_size is all samples of a step, and `microbatch` how many of "
    "them are encoded at a time"
)
_ACCUMULATION_STEP = "write microbatch = samples at a time, batch_size = that times the steps"
_WARMUP = "`warmup_fraction` here, a share of all steps"
_WARMUP_STEP = "write warmup_fraction = warm-up steps / all steps, 0.1 say"
_PRECISION = '`precision` here: "auto", "fp32" or "bf16"; fp16 is not offered'
_SEEDS = "[sweep] here: each seed is a cell of its own"
_SEEDS_STEP = "write [sweep] and below it seeds = [0]"
_EARLY = "`patience` here: validations without a better one after which training stops"

#: At most 30; a test asks for each.
SYNONYMS = (
    _renamed("train", "learning_rate", "lr"),
    Synonym(("train",), "early_stopping", _EARLY, "write patience = 5, say"),
    Synonym(("train",), "gradient_accumulation", _ACCUMULATION, _ACCUMULATION_STEP),
    Synonym(("train",), "gradient_accumulation_steps", _ACCUMULATION, _ACCUMULATION_STEP),
    _renamed("train dataset", "num_workers", "train.workers", "write workers in [train]"),
    _renamed("train", "num_epochs", "epochs"),
    _renamed("train", "max_epochs", "epochs"),
    _renamed("train", "bs", "batch_size"),
    _renamed("train", "wd", "weight_decay"),
    Synonym(("train",), "warmup", _WARMUP, _WARMUP_STEP),
    Synonym(("train",), "warmup_steps", _WARMUP, _WARMUP_STEP),
    Synonym(("train",), "amp", _PRECISION, 'write precision = "bf16", or leave it out'),
    Synonym(("train",), "fp16", _PRECISION, 'write precision = "bf16", or leave it out'),
    _renamed("train", "max_grad_norm", "clip_norm"),
    Synonym(
        ("spec", "train"),
        "lr_scheduler",
        "[train.schedule] here",
        'write [train.schedule] and below it use = "cosine", say',
    ),
    _moved("train", "momentum", "train.optimizer", "momentum"),
    _moved("train", "betas", "train.optimizer", "betas"),
    _moved("train", "eps", "train.optimizer", "eps"),
    _moved("optimizer", "lr", "train", "lr"),
    _moved("optimizer", "weight_decay", "train", "weight_decay"),
    Synonym(("spec", "train"), "random_seed", _SEEDS, _SEEDS_STEP),
    Synonym(("spec", "train"), "seed", _SEEDS, _SEEDS_STEP),
    Synonym(
        ("spec",),
        "model",
        "[encoders.KEY], [fusion] and [head] here",
        "write [encoders.image] for each input, then [fusion], and [head] where one predicts",
    ),
    Synonym(
        ("spec", "train"),
        "metrics",
        "[[evaluate]] here: an evaluator gives all its metrics",
        'write [[evaluate]] and below it use = "classification", say',
    ),
    Synonym(
        ("spec", "value"),
        "val",
        'the split "validation" here, which training is judged by',
        'write split = "validation" in [[evaluate]], or in the data',
    ),
    _renamed("component", "type", "use"),
    _renamed("component", "name", "use"),
    _renamed("component", "_target_", "use", "write use = the component's name"),
    _renamed("component", "class", "use"),
    _renamed("value", "adam", "adamw", 'write use = "adamw"; with weight_decay = 0 it is Adam'),
)


def synonym(table: str, name: str) -> Synonym | None:
    """What a name is here that stands in a table, if another tool's word is meant."""
    return next((one for one in SYNONYMS if one.name == name and table in one.tables), None)
