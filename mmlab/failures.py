"""What a person reads when a cell failed: one paragraph, and of a traceback only others' frames.

The whole traceback is kept with the attempt; `mmlab show RUN --log` prints it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

import mmlab
from mmlab.errors import MmlabError, RunError, explain
from mmlab.memory import describe_request, is_out_of_memory
from mmlab.plan import Plan, Resolved

#: What components may raise besides `Exception`: one that ends the program ends only its run.
RAISED = (Exception, SystemExit)


def outcome_of(error: BaseException) -> str:
    """The word stored with a failed attempt."""
    if isinstance(error, RunError):
        return error.reason
    return "oom" if is_out_of_memory(error) else "error"


def describe_failure(error: BaseException, plan: Plan) -> str:
    """Why a cell failed: mmlab's own words for an expected error, else which component raised."""
    if isinstance(error, MmlabError):
        return str(error)
    if is_out_of_memory(error):
        return _out_of_memory(error, plan)
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames if _is_others(frame)]
    return "\n".join([_raised(error, plan, kept), *_shown(kept or frames)])


def _out_of_memory(error: BaseException, plan: Plan) -> str:
    table = plan.cell.spec.train
    size = f"batch_size {table.batch_size}; " if table else ""
    return plan.explain(
        ("train", "batch_size"),
        "the memory does not hold a step",
        found=size + describe_request(error),
        allowed="a batch that fits; mmlab never makes it smaller by itself",
        next_step="lower train.batch_size, or choose smaller encoders",
    )


def _raised(error: BaseException, plan: Plan, frames: Sequence[traceback.FrameSummary]) -> str:
    origin = _origin(plan, frames)
    return explain(
        f"{plan.cell.source.path}: {origin or 'mmlab'}",
        f"{type(error).__name__} was raised" + (" in a component" if origin else ""),
        found=_first_line(error) or "no message",
        allowed="components that end without an error",
        next_step="correct what it complains of, or report it"
        + (f" to the authors of {origin}" if origin else " as a defect of mmlab"),
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _origin(plan: Plan, frames: Sequence[traceback.FrameSummary]) -> str | None:
    """Distribution and version of the innermost frame that belongs to a component of the plan."""
    places = [(_home(found), found.entry) for _, found in plan.components()]
    for frame in reversed(frames):
        for home, entry in places:
            if home is not None and Path(frame.filename).is_relative_to(home):
                return f"{entry.distribution} {entry.version}"
    return None


def _home(found: Resolved) -> Path | None:
    """The folder of a component's package, or the file of its module."""
    name = str(found.factory.__module__)
    package = sys.modules.get(name.partition(".")[0])
    if package is None or package.__file__ is None:
        return None
    file = Path(package.__file__)
    return file.parent if hasattr(package, "__path__") else file


def _is_others(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is neither mmlab's nor torch's."""
    own = (mmlab.__file__, torch.__file__)
    return not any(Path(frame.filename).is_relative_to(Path(str(file)).parent) for file in own)


def _shown(frames: Sequence[traceback.FrameSummary]) -> Iterator[str]:
    for frame in frames:
        yield f'  in {frame.name}, "{frame.filename}", line {frame.lineno}'
        if frame.line:
            yield f"    {frame.line}"
