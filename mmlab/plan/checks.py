"""What is wrong between tables of a spec that are each valid on their own."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mmlab.metric import OF_SUITE
from mmlab.plan.best_metric import best_faults, new_best_faults
from mmlab.plan.component import Resolved
from mmlab.plan.options import encoder_options
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS
from mmlab.spec.faults import Fault, Where, nearest, show
from mmlab.spec.tables import Asked

#: Names that torch.nn.ModuleDict uses itself, here in words so that checking needs no torch.
MODULE_WORDS = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "clear",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "items",
        "keys",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "pop",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "update",
        "values",
        "xpu",
        "zero_grad",
    ]
)


def contradictions(plan: Plan) -> list[Fault]:
    """What is wrong between tables that are each valid on their own."""
    faults = [*_unfit_names(plan), *_other_count(plan)]
    spec = plan.cell.spec
    gives = _gives(plan)
    if plan.head is not None and "fused" not in gives:
        faults.append(_clash(plan, ("head",), "a head", "fused"))
    if plan.generator is not None:
        faults += _unfit_generator(plan, gives)
    for position, (name, loss) in enumerate(plan.losses.items()):
        for need in sorted(loss.declares("reads") & _READ - gives):
            faults.append(_clash(plan, ("losses", position), f"the loss {name!r}", need))
        words = loss.declares("reads")
        faults += _other_heads(plan, ("losses", position), f"the loss {name!r}", words)
        faults += _unknown_encoders(("losses", position), loss, tuple(plan.encoders))
    faults += unmet_needs(plan, plan.evaluators, plan.asked.values())
    if plan.cell.budget is not None and plan.width_option in spec.fusion.options:
        faults.append(_matched_width(plan, str(plan.width_option)))
    faults += _unshared(plan)
    return [*faults, *best_faults(plan)]


def new_contradictions(plan: Plan) -> list[Fault]:
    """What a cell that is yet to be run may not ask for, though runs that are stored may have."""
    return [*_idle_nesterov(plan), *too_many_workers(plan), *new_best_faults(plan)]


def unmet_needs(
    plan: Plan, evaluators: Mapping[str, Resolved], asked: Iterable[Asked]
) -> list[Fault]:
    """What evaluators read and the model of a plan does not give, each table told once."""
    gives, faults = _gives(plan), list[Fault]()
    first = {one.position: one for one in reversed([*asked])}
    for position, one in sorted(first.items()):
        evaluator, written = evaluators[one.name], one.name.partition(OF_SUITE)[0]
        path, who = ("evaluate", position), f"the evaluator {written!r}"
        words = evaluator.declares("needs")
        needs = {
            _TRAINED[need] if need in gives & _TRAINED.keys() else need
            for need in words - _PREDICTED.keys()
        }
        faults += [_clash(plan, path, who, need) for need in sorted(needs - gives)]
        faults += _other_heads(plan, path, who, words)
        faults += _unknown_encoders(path, evaluator, plan.inputs)
    return faults


def _unknown_encoders(path: Where, reader: Resolved, known: Sequence[str]) -> Iterator[Fault]:
    """Options of a loss or an evaluator that name an encoder it cannot be given."""
    for option in encoder_options(reader.factory):
        key = reader.options[option]
        if not isinstance(key, str) or key in known:
            continue
        suggestion = nearest(key, known)
        yield Fault(
            (*path, option),
            f"{reader.entry.name} is given no such encoder"
            + (f' (did you mean "{suggestion}"?)' if suggestion else ""),
            found=show(key),
            allowed=", ".join(map(show, known)),
            next_step=f"set {option} to one of these",
        )


def _unfit_names(plan: Plan) -> Iterator[Fault]:
    """Encoders and losses whose names a torch module cannot give to its parts."""
    places: list[tuple[Where, str]] = [(("encoders", key), key) for key in plan.encoders]
    places += [(("losses", i, "name"), name) for i, name in enumerate(plan.losses)]
    for where, name in places:
        if "." in name or name in MODULE_WORDS:
            yield Fault(
                where,
                "this name cannot be given to a part of a torch module",
                found=repr(name),
                allowed="a name without a dot that torch.nn.ModuleDict does not use itself",
                next_step=f'call it "my_{name.replace(".", "_")}", say',
            )


def _other_count(plan: Plan) -> Iterator[Fault]:
    """A fusion that joins more inputs than it is given, or fewer."""
    fewest, most = plan.fusion.input_range
    count = len(plan.inputs)
    if fewest <= count <= most:
        return
    allowed = _count_words(fewest, most)
    encoders = f"{allowed} encoder{'s' if most > 1 else ''}"
    given = f"{_NUMBERS.get(count, str(count))} input{'s' if count > 1 else ''}"
    yield Fault(
        ("fusion", "inputs" if plan.cell.spec.fusion.inputs else "use"),
        f"{plan.fusion.entry.name} joins {allowed} input{'s' if most > 1 else ''}",
        found=f"{count}: {', '.join(plan.inputs)}",
        allowed=encoders,
        next_step=f"name {encoders} in fusion.inputs, or choose a fusion that joins {given}: "
        "mmlab plugins list --kind fusion",
    )


def _count_words(fewest: int, most: float) -> str:
    """A range of numbers in words.

    >>> _count_words(2, 2), _count_words(2, math.inf), _count_words(2, 3)
    ('exactly two', 'two or more', 'two to three')
    """
    first, last = (_NUMBERS.get(number, str(number)) for number in (fewest, most))
    if most == math.inf:
        return f"{first} or more"
    return f"exactly {first}" if fewest == most else f"{first} to {last}"


_NUMBERS: Mapping[float, str] = {1: "one", 2: "two", 3: "three", 4: "four"}


def _gives(plan: Plan) -> set[str]:
    """What the model of a plan provides."""
    gives = {"similarity"} if len(plan.inputs) == 2 else set()
    if gives and hasattr(plan.fusion.factory, "score"):
        gives.add("trained similarity")
    if hasattr(plan.fusion.factory, "fuse"):
        gives.add("fused")
    if plan.head is not None:
        gives.add("prediction")
    if plan.generator is not None:
        gives.add("generation")
    trained = plan.losses.values() if plan.cell.spec.train is not None else ()
    read = {word for loss in trained for word in loss.declares("reads") & gives}
    return gives | {_TRAINED[word] for word in read & _TRAINED.keys()}


#: What an evaluator means by what it needs: what nothing trained would be noise.
_TRAINED = {"similarity": "trained similarity", "prediction": "trained prediction"}
_WORDS = {"fused": "vector"}
#: What a table gives itself, and is not told that the model gives.
_OWN: Mapping[Where, set[str]] = {("head",): {"prediction"}, ("generator",): {"generation"}}

_SOURCES = {
    "similarity": "a fusion of exactly two inputs",
    "trained similarity": "a fusion of two inputs that scores pairs itself (inner_product, ...) or "
    "a loss that trains it to (info_nce, ...)",
    "prediction": "a [head]",
    "trained prediction": "a loss that trains the [head] (cross_entropy, ...)",
    "fused": "a fusion that gives a vector (concat, gating, ...)",
    "generation": "a [generator]",
}
#: What a loss may read that not every model gives.
_READ = frozenset({"similarity", "prediction", "fused", "generation"})


def _unfit_generator(plan: Plan, gives: set[str]) -> Iterator[Fault]:
    """A generator that reads a vector which nothing gives, or that nothing trains."""
    assert plan.generator is not None, "only asked for where there is one"
    if "fused" in plan.generator.declares("reads") - gives:
        yield _clash(plan, ("generator",), "the generator", "fused")
    table, losses = plan.cell.spec.generator, plan.losses.values()
    if plan.cell.spec.train is None or (table is not None and table.freeze):
        return
    if not any("generation" in loss.declares("reads") for loss in losses):
        yield Fault(
            ("generator",),
            "no loss trains the generator",
            found=f"losses: {', '.join(plan.losses) or 'none'}",
            allowed='a loss that reads the generation, such as "generation"',
            next_step='add [[losses]] with use = "generation", or set generator.freeze = true',
        )


def _clash(plan: Plan, path: Where, who: str, need: str) -> Fault:
    own = _OWN.get(path, set[str]())
    shown = _gives(plan) - set(_TRAINED.values()) - own
    given = ", ".join(sorted(_WORDS.get(word, word) for word in shown))
    return Fault(
        path,
        f"{who} reads the model's {_WORDS.get(need, need)}, which this spec does not give",
        found=f"a model that gives {given or 'features only'}",
        allowed=_SOURCES[need],
        next_step=f"{_remedy(plan, need)}, or remove this table",
    )


def _remedy(plan: Plan, need: str) -> str:
    """What gives what is needed: a fusion of other inputs where their number is what is wrong."""
    count, encoders = len(plan.inputs), plan.cell.spec.encoders
    if "similarity" in need and count != 2 and len(encoders) > 1:
        return f"name two encoders in fusion.inputs (found {count}: {', '.join(plan.inputs)})"
    return f"add {_SOURCES[need]}"


#: What a head may predict, and who reads it.
_PREDICTED = {"labels": "classification, cross_entropy", "targets": "regression, mse"}


def _other_heads(plan: Plan, path: Where, who: str, words: frozenset[str]) -> Iterator[Fault]:
    """A reader of labels whose head predicts targets, or the other way round."""
    given = "targets" if plan.predicts_targets else "labels"
    for wanted in words & _PREDICTED.keys() - {given} if plan.head is not None else ():
        yield Fault(
            path,
            f"{who} reads a head that predicts {wanted}, and this one predicts {given}",
            found=f"{'a' if given == 'targets' else 'no'} loss that reads targets",
            allowed=f"losses and evaluators of {given} ({_PREDICTED[given]}, ...)",
            next_step=f"remove this table, or use losses of {wanted} alone",
        )


def _unshared(plan: Plan) -> Iterator[Fault]:
    """An optimiser that cannot change parameters of which each process keeps a share."""
    train, optimizer = plan.cell.spec.train, plan.optimizer
    if train is None or optimizer is None:
        return
    if train.parallel in (allowed := optimizer.declares("parallel")):
        return
    name = optimizer.entry.name
    yield Fault(
        ("train", "parallel"),
        f'the optimiser "{name}" does not go with this: it needs each parameter whole',
        found=show(train.parallel),
        allowed=", ".join(map(show, sorted(allowed))),
        next_step=f"set parallel = {show(min(allowed))}, or use the optimiser adamw or sgd",
    )


def _idle_nesterov(plan: Plan) -> Iterator[Fault]:
    """Plain descent that is asked to look ahead along a momentum that it has not."""
    optimizer = plan.optimizer
    if optimizer is None or optimizer.entry.target != BUILTINS["optimizer"]["sgd"]:
        return
    if optimizer.options["nesterov"] and optimizer.options["momentum"] == 0:
        yield Fault(
            ("train", "optimizer", "nesterov"),
            "without momentum there is nothing to look ahead along",
            found="nesterov = true and momentum = 0",
            allowed="momentum > 0, or nesterov = false",
            next_step="set momentum = 0.9, say, or remove nesterov",
        )


#: Processes that read samples, for each core of the machine; more only wait for each other.
WORKERS_PER_CORE = 4


def too_many_workers(plan: Plan) -> Iterator[Fault]:
    """More processes that read samples than this machine can keep busy; another one may."""
    train, cores = plan.cell.spec.train, core_count()
    most = WORKERS_PER_CORE * cores
    if train is None or train.workers <= most:
        return
    yield Fault(
        ("train", "workers"),
        "this machine has too few cores for so many processes that read samples",
        found=f"workers = {train.workers:,}, and {cores} core{'s' if cores > 1 else ''}",
        allowed=f"0 to {most}: at most {WORKERS_PER_CORE} for each core",
        next_step=f"set workers = {cores}, say",
    )


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _matched_width(plan: Plan, option: str) -> Fault:
    return Fault(
        ("fusion", option),
        "sweep.match sets this: it is the operator's width",
        found=str(plan.cell.spec.fusion.options[option]),
        allowed=f"no {option}, or no sweep.match",
        next_step=f"remove {option}, or remove sweep.match and sweep.budget",
    )
