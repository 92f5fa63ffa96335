"""Cells executed in this process: for debugging, and in groups of processes (torchrun).

In a group the main process holds the database and claims; the others follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmlab.errors import MmlabError
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.runner.cell_runner import CellRunner
from mmlab.runner.coordinator import Coordinator, Display, Ended, Outcome
from mmlab.runner.follow import END, follow, require_equal_plans
from mmlab.runner.runner import RunOptions, run_prepared
from mmlab.spec import Override
from mmlab.train.processes import ProcessGroup, open_group


def run_specs(paths: Sequence[Path], options: RunOptions, display: Display) -> list[Outcome]:
    """As `mmlab.runner.runner.run_specs`; processes that follow give nothing."""
    with open_group(options.group_seconds) as group:
        plans = plan_together(paths, options.overrides, group)
        runner = InProcess(options.device, group)
        if not group.is_main:
            follow(plans, group, runner.device)
            return []
        try:
            return run_prepared(runner.submission(plans, display), runner, options, display)
        finally:
            group.broadcast(END)


class InProcess(CellRunner):
    """Executes cells, and evaluates finished runs further, in this process."""

    def read_questions(
        self, run_ids: Sequence[str], files: Sequence[Path], coordinator: Coordinator
    ) -> None:
        """Read what files ask more of finished runs. Raises SpecError or PluginError."""
        from mmlab.runner.questions import Questions  # of which no cell knows

        self.questions = Questions(self, run_ids, files, coordinator)

    def ask(self, run_id: str, coordinator: Coordinator) -> Ended:
        """Evaluate one of these runs on that. Raises StoreError."""
        return self.questions.ask(run_id, coordinator)


@contextmanager
def executor(options: RunOptions) -> Iterator[InProcess]:
    """What executes cells, here."""
    yield InProcess(options.device)


def plan_together(
    paths: Sequence[Path], overrides: Sequence[Override], group: ProcessGroup
) -> list[Plan]:
    """The plans, which must be the same for all processes of the group."""
    try:
        plans = plan_specs(paths, overrides)
    except MmlabError:
        group.leave("an invalid spec")
        raise
    require_equal_plans(plans, group)
    return plans
