"""What can be wrong with labels and inputs of one's own, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmlab.errors import UsageError, explain


def unknown_input(name: str, known: Mapping[str, str]) -> UsageError:
    """A value is named after nothing that the model reads."""
    return UsageError(
        explain(
            "inputs",
            "the model has no such input",
            found=repr(name),
            allowed=_named(known),
            next_step="name one of these",
        )
    )


def no_input(known: Mapping[str, str]) -> UsageError:
    """Nothing is given to rank labels for."""
    return UsageError(
        explain(
            "inputs",
            "there is nothing to rank labels for",
            found="no input",
            allowed=f"one value or more of {_named(known)}",
            next_step="name a picture's file, or mmlab rank RUN --input NAME=VALUE",
        )
    )


def no_row(value: str) -> UsageError:
    """A row of a table is no JSON object."""
    return UsageError(
        explain(
            "inputs: tabular",
            "a row is a JSON object of columns and their cells",
            found=repr(value)[:200],
            allowed='{"age": 3, "coat": "long"}, say',
            next_step="write it so, within quotes of the shell",
        )
    )


def not_as_many(place: str, counts: Mapping[str, int]) -> UsageError:
    """Columns of samples differ in length."""
    return UsageError(
        explain(
            place,
            "each sample needs one of each",
            found=", ".join(f"{count} of {name}" for name, count in counts.items()),
            allowed="as many of one as of the other; the first goes with the first",
            next_step="name one for every sample, or leave the shorter one out",
        )
    )


def lacks_input(queries: str, columns: Iterable[str]) -> UsageError:
    """What the labels are compared with is not given."""
    return UsageError(
        explain(
            "inputs",
            f"this model compares labels with its input {queries!r}, which is not given",
            found=", ".join(columns),
            allowed=queries,
            next_step=f"name it: --input {queries}=...",
        )
    )


def labels_in_its_place(prompts: str, queries: str) -> UsageError:
    """A value is given for the input that reads the labels' prompts."""
    return UsageError(
        explain(
            "inputs",
            "labels take the place of this input",
            found=f"a value of {prompts}",
            allowed=f"values of {queries}",
            next_step=f"leave {prompts} out, or make it a label",
        )
    )


def not_a_label(fault: str, found: str, allowed: str) -> UsageError:
    """Labels are no list of different texts."""
    step = "correct --labels, or the file of --labels-file, which has one label a line"
    return UsageError(explain("labels", fault, found=found[:200], allowed=allowed, next_step=step))


def needs_two_labels() -> UsageError:
    """The softmax over one label is 1 whatever the input is."""
    return UsageError(
        explain(
            "labels",
            "of one label nothing can be said: its probability is 100% whatever the input is",
            found="1 label",
            allowed="two labels or more",
            next_step="name what else it could be",
        )
    )


def not_a_template(template: str) -> UsageError:
    """A template has no place for the label, or several."""
    return UsageError(
        explain(
            "templates",
            "a template needs exactly one {} for the label",
            found=repr(template)[:200],
            allowed='a text with one {}, such as "a photo of {}, a type of food."',
            next_step="put {} where the label belongs",
        )
    )


def needs_labels(*, has_head: bool) -> UsageError:
    """No labels are given, and the model brings none."""
    return UsageError(
        explain(
            "labels",
            "labels are needed, for the model has none of its own",
            found="a head that predicts numbers" if has_head else "no labels and no head",
            allowed="labels to choose among; a model with a head of labels has its own",
            next_step="name them: --labels guacamole,ceviche, or --labels-file FILE",
        )
    )


def cannot_rank(inputs: Sequence[str], *, has_head: bool) -> UsageError:
    """The model cannot score labels that it was not trained on."""
    step = "leave the labels out: its head then ranks those that it was trained on"
    return UsageError(
        explain(
            "labels",
            "this model does not compare inputs with texts, and cannot rank labels of your own",
            found=f"a fusion of {', '.join(inputs)} {'with' if has_head else 'without'} a head",
            allowed="a model that scores pairs of two inputs, one of them a text",
            next_step=step if has_head else "choose another run (mmlab ls)",
        )
    )


def needs_scale() -> UsageError:
    """Nothing says how scores become probabilities."""
    return UsageError(
        explain(
            "scale",
            "nothing says how this model's scores become probabilities",
            found="no loss and no pretrained encoder with a temperature",
            allowed="a number above 0; CLIP's cosines have 100",
            next_step="set --scale",
        )
    )


def unclear_prompts(prompts: str | None, known: Mapping[str, str]) -> UsageError:
    """It is not clear which input reads the labels."""
    return UsageError(
        explain(
            "prompts",
            "it is not clear which input reads the labels"
            if prompts is None
            else "the model has no such input",
            found=f"inputs {_named(known)}" if prompts is None else repr(prompts),
            allowed="the name of an input that reads text: " + ", ".join(known),
            next_step="name it with --prompts",
        )
    )


def _named(known: Mapping[str, str]) -> str:
    """Inputs by their encoders' keys, and what they read where that is called otherwise."""
    return ", ".join(
        key if key == modality else f"{key} ({modality})" for key, modality in known.items()
    )
