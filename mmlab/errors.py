"""The errors a user can meet; the command line prints them without a traceback.

MmlabError
 +-- SpecError        the spec is invalid                              exit 3
 +-- PluginError      a plugin is missing, broken or breaks a contract  exit 4
 +-- StoreError       the database is unreachable or of another revision exit 5
 +-- DataError        a dataset or one of its samples cannot be used    exit 1
 +-- WeightsError     weights are missing or do not fit the model       exit 1
 +-- RunError         an execution failed (a non-finite loss, say)      exit 1
 +-- GroupError       processes that train together have come apart      exit 1
 +-- UsageError       a command was asked for something that is not there exit 2

A message says, in this order: the place, what is wrong, what was found, what is allowed, and
what to do next. `explain` puts the five parts together so that none is forgotten.
"""

from __future__ import annotations


class MmlabError(Exception):
    """Base of every error mmlab raises on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class SpecError(MmlabError):
    """A spec, an override or an option in it is invalid; nothing was run."""

    exit_code = 3


class PluginError(MmlabError):
    """A component is unknown, its plugin failed to load, or it breaks its contract."""

    exit_code = 4


class StoreError(MmlabError):
    """The database cannot be reached or its schema is not this program's."""

    exit_code = 5


class DataError(MmlabError):
    """A dataset, a file in it or a sample cannot be used."""


class WeightsError(MmlabError):
    """Weights are missing, unreadable or do not fit the model they are meant for."""


class RunError(MmlabError):
    """An execution failed for a reason that is not a defect of the program.

    `reason` is the short word stored with the attempt: "nan", "oom", "disk_full", "stopped",
    "error".
    """

    def __init__(self, message: str, reason: str = "error") -> None:
        super().__init__(message)
        self.reason = reason


class GroupError(MmlabError):
    """Processes that train together differ, have died or have come apart: all of them end."""


class LostError(GroupError):
    """A process of the group has gone silent; each of the others notices by itself."""


class UsageError(MmlabError):
    """A command names a run, a report format or a file that does not exist."""

    exit_code = 2


def explain(place: str, fault: str, *, found: object, allowed: str, next_step: str) -> str:
    """One paragraph with the five parts of a message.

    >>> print(explain("train.lr", "must be positive", found=-1, allowed="> 0", next_step="set it"))
    train.lr: must be positive
      found: -1
      allowed: > 0
      next: set it
    """
    return f"{place}: {fault}\n  found: {found}\n  allowed: {allowed}\n  next: {next_step}"
