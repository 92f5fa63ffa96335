"""Why there is no card: the run is not done, nothing ranked labels, or not for this sample."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from mmlab.errors import UsageError, explain
from mmlab.store import RunRow, Store
from mmlab.tables import evaluations, sample_results, samples

#: The evaluators that store which labels come first.
RANKING = ("zero_shot", "classification", "linear_probe", "prompts")


def not_done(run: RunRow) -> UsageError:
    """For a run that failed, or has not come to its evaluations."""
    is_failed = run.status == "failed"
    return UsageError(
        explain(
            f"run {run.run_id[:8]}",
            "it failed, and has no cards" if is_failed else "it is not done, and has no cards yet",
            found=(run.error or "").partition("\n")[0] or run.status,
            allowed="a done run",
            next_step=f"see why with: mmlab show {run.run_id[:8]} --log"
            if is_failed
            else "wait for it, or find a done one with: mmlab ls --status done",
        )
    )


def no_cards(store: Store, run: str, evaluation: str | None) -> UsageError:
    """For a run none of whose evaluations, or not the named one, ranked labels."""
    query = select(evaluations.c.name).where(evaluations.c.run_id == run).distinct()
    names = store.frame(query.order_by(evaluations.c.name))["name"].to_list()
    if evaluation is not None and evaluation not in names:
        fault, found = "no such evaluation", f"{evaluation!a}; it has {_listed(names)}"
    else:
        fault = (
            "no evaluation of it ranked labels"
            if evaluation is None
            else "this evaluation ranked no labels"
        )
        found = _listed(names) if evaluation is None else repr(evaluation)
    return UsageError(
        explain(
            f"run {run[:8]}",
            fault,
            found=found,
            allowed=f"an evaluation by one of {', '.join(RANKING)}",
            next_step=f"see its evaluations with: mmlab show {run[:8]}",
        )
    )


def not_asked(store: Store, run: str, sample: str, evaluated: Sequence[int]) -> UsageError:
    """For a sample that none of these evaluations, of which there are some, ranked labels for."""
    chosen = evaluations.c.id.in_(evaluated)
    splits = store.frame(select(evaluations.c.split).where(chosen).distinct())["split"].to_list()
    query = select(samples.c.stable_id).join(sample_results).order_by(samples.c.id).limit(3)
    query = query.where(sample_results.c.evaluation_id == evaluated[0])
    known = store.frame(query)["stable_id"].to_list()
    words = " and ".join(sorted(splits))
    return UsageError(
        explain(
            f"run {run[:8]}",
            f"no ranking of labels is stored for this sample: the {words} split was evaluated",
            found=ascii(sample),
            allowed=f"a sample of {words}, such as {', '.join(map(ascii, known))}",
            next_step="name one of these",
        )
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no evaluation at all"
