"""Which components are installed: found by name, imported when asked for, failures kept.

What core itself offers is named like a plugin's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from mmlab import __version__
from mmlab.errors import PluginError, explain, message_of, traceback_of
from mmlab.files import file_sha256
from mmlab.plan.discover import Loaded, announced, find_offers, is_editable, load
from mmlab.spec.faults import nearest

_REASON_CHARACTERS = 300
#: The distribution of components that no plugin has.
OWN = "mmlab"


@dataclass(frozen=True)
class ComponentEntry:
    """One component that a spec can name. `target` is "module:attribute"; it may not import yet.

    `state` is "broken" when the name is offered twice; `reason` then names both distributions.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: str
    state: Literal["ok", "broken"] = "ok"
    reason: str | None = None
    is_editable: bool = False

    @cached_property
    def source_hash(self) -> str | None:
        """sha256 of the package's or module's files where edits keep the version; else None.

        Of what mmlab itself has it is that of the component's module alone: most edits of mmlab
        leave a component as it was.
        """
        module = self.target.partition(":")[0]
        name = module if self.distribution == OWN else module.partition(".")[0]
        return _package_sha256(name) if self.is_editable else None


@dataclass(frozen=True)
class PluginFailure:
    """An entry point that could not be loaded, so that nobody knows its components."""

    distribution: str
    version: str
    entry_point: str
    reason: str
    traceback: str


class Registry:
    """Components by kind and name. `discover` makes one; `resolve` imports a component."""

    def __init__(
        self, entries: Sequence[ComponentEntry], failures: Sequence[PluginFailure]
    ) -> None:
        self._entries = _mark_repeated(entries)
        self.failures = list(failures)
        self._factories: dict[tuple[str, str], Callable[..., Any]] = {}

    @classmethod
    def discover(cls, builtins: Mapping[str, Mapping[str, str]] | None = None) -> Registry:
        """Ask every installed plugin for its components; `builtins` are mmlab's own, by kind.

        Where mmlab is editable, heads have a hash of their source, for the record of a run alone:
        what mmlab's own components compute is identified by numbers, see `numerics_of`.
        """
        edited = {"head"} if is_editable(OWN) else set()
        entries = [
            ComponentEntry(kind, name, target, OWN, __version__, OWN, is_editable=kind in edited)
            for kind, targets in (builtins or {}).items()
            for name, target in targets.items()
        ]
        loaded = [load(offer) for offer in find_offers()]
        entries += [_entry(one, *given) for one in loaded for given in one.components]
        return cls(entries, [_failure(one) for one in loaded if one.error is not None])

    def entries(self, kind: str | None = None) -> list[ComponentEntry]:
        """All components, or those of a kind, sorted by kind and name."""
        return [entry for entry in self._entries if kind in (None, entry.kind)]

    def entry(self, kind: str, name: str) -> ComponentEntry:
        """The component of a kind and name. Raises PluginError when there is not exactly one."""
        found = [entry for entry in self.entries(kind) if entry.name == name]
        if not found:
            raise self._unknown(kind, name)
        if found[0].state == "broken":
            raise _repeated(found)
        return found[0]

    def resolve(self, kind: str, name: str) -> Callable[..., Any]:  # Any: factories differ by kind
        """The factory of a component, imported. Raises PluginError when that is impossible."""
        key = (kind, name)
        if key not in self._factories:
            self._factories[key] = _import(self.entry(kind, name))
        return self._factories[key]

    def names(self, kind: str) -> list[str]:
        """The names of all components of a kind, in their order."""
        return [entry.name for entry in self.entries(kind)]

    def likely(self, kind: str, name: str) -> str | None:
        """The component that was probably meant by a name that none has."""
        known = self.names(kind)
        return None if name in known else nearest(name, known)

    def _unknown(self, kind: str, name: str) -> PluginError:
        known, suggestion = self.names(kind), self.likely(kind, name)
        hint = f' (did you mean "{suggestion}"?)' if suggestion else ""
        message = explain(
            f'{kind} "{name[:_REASON_CHARACTERS]}"',
            f"no installed plugin has it{hint}",
            found=name[:_REASON_CHARACTERS],
            allowed=", ".join(known) or f"nothing: no {kind} is installed",
            next_step=f'use "{suggestion}"' if suggestion else "install the plugin that has it",
        )
        return PluginError("\n".join([message, *self._failed()]))

    def _failed(self) -> Iterator[str]:
        """The plugins that may have what is missing, but failed to load."""
        count = len(self.failures)
        if count:
            yield f"  {count} plugin{'s' if count > 1 else ''} failed to load:"
        for failure in self.failures:
            yield f"    {failure.distribution} {failure.version}: {failure.reason}"


def _entry(loaded: Loaded, kind: str, name: str, target: str) -> ComponentEntry:
    offer = loaded.offer
    return ComponentEntry(
        kind,
        name,
        target,
        offer.distribution,
        offer.version,
        offer.entry_point,
        is_editable=offer.is_editable,
    )


def _failure(loaded: Loaded) -> PluginFailure:
    offer, error = loaded.offer, loaded.error
    assert error is not None, "only asked for where loading failed"
    reason, text = describe_error(error), traceback_of(error)
    return PluginFailure(offer.distribution, offer.version, offer.entry_point, reason, text)


def _mark_repeated(entries: Sequence[ComponentEntry]) -> list[ComponentEntry]:
    """Entries sorted, each once; those whose name is offered twice are broken, whoever offers it.

    The same target offered by two entry points of one distribution is one component.
    """
    offers: dict[tuple[str, str], dict[tuple[str, str], ComponentEntry]] = {}
    for entry in entries:
        same_name = offers.setdefault((entry.kind, entry.name), {})
        same_name.setdefault((entry.distribution, entry.target), entry)
    marked: list[ComponentEntry] = []
    for _, same_name in sorted(offers.items()):
        rivals = list(same_name.values())
        reason = "offered by " + " and by ".join(map(_describe, rivals))
        marked += [replace(e, state="broken", reason=reason) for e in rivals if len(rivals) > 1]
        marked += rivals if len(rivals) == 1 else []
    return marked


def _describe(entry: ComponentEntry) -> str:
    return f"{entry.distribution} {entry.version} ({entry.target})"


def _repeated(entries: Sequence[ComponentEntry]) -> PluginError:
    return PluginError(
        explain(
            f'{entries[0].kind} "{entries[0].name}"',
            "two plugins have a component of this name",
            found=entries[0].reason,
            allowed="one component of a kind and name",
            next_step="uninstall one of them",
        )
    )


def _import(entry: ComponentEntry) -> Callable[..., Any]:
    """The factory that a component's target names."""
    module, _, attribute = entry.target.partition(":")
    try:
        with announced(f"{entry.target} of {entry.distribution} {entry.version}"):
            found: Any = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may fail in any way while loading
        raise _unimportable(entry, describe_error(error)) from error
    if not callable(found):
        raise _unimportable(entry, f"{entry.target} is not callable")
    factory: Callable[..., Any] = found
    return factory


def _unimportable(entry: ComponentEntry, reason: str) -> PluginError:
    return PluginError(
        explain(
            f'{entry.kind} "{entry.name}"',
            f"its plugin {entry.distribution} {entry.version} cannot import it",
            found=f"{entry.target}: {reason}",
            allowed="a target that imports and can be called",
            next_step=f"mend or reinstall {entry.distribution}",
        )
    )


def describe_error(error: BaseException) -> str:
    """An exception in one line, with the file and line of a syntax error."""
    text = " ".join(message_of(error).split())[:_REASON_CHARACTERS]
    if isinstance(error, SyntaxError) and error.filename:
        text = f"{error.msg} ({error.filename}, line {error.lineno})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _package_sha256(package: str) -> str | None:
    """sha256 over the names and bytes of a package's Python files."""
    spec = find_spec(package)
    if spec is None:
        return None
    content = hashlib.sha256()
    for folder in map(Path, spec.submodule_search_locations or ()):
        for file in sorted(folder.rglob("*.py")):
            name = file.relative_to(folder).as_posix()
            content.update(f"{name} {file_sha256(file)}\n".encode())
    if not spec.submodule_search_locations and spec.origin:
        content.update(Path(spec.origin).read_bytes())
    return content.hexdigest()


#: Kind -> name used in TOML -> where the component is.
BUILTINS: Mapping[str, Mapping[str, str]] = {
    "head": {
        "identity": "mmlab.model.heads:Identity",
        "linear": "mmlab.model.heads:Linear",
        "mlp": "mmlab.model.heads:MLP",
        "ordinal": "mmlab.model.heads:Ordinal",
    },
    "loss": {"generation": "mmlab.model.generation:GenerationLoss"},
    "evaluator": {
        "classification": "mmlab.evaluate.evaluators.classification:Classification",
        "detection": "mmlab.evaluate.evaluators.detection:Detection",
        "few_shot": "mmlab.evaluate.evaluators.few_shot:FewShot",
        "linear_probe": "mmlab.evaluate.evaluators.linear_probe:LinearProbe",
        "missing_modality": "mmlab.evaluate.evaluators.missing_modality:MissingModality",
        "prompts": "mmlab.evaluate.evaluators.prompts:PromptStudy",
        "regression": "mmlab.evaluate.evaluators.regression:Regression",
        "retrieval": "mmlab.evaluate.evaluators.retrieval:Retrieval",
        "zero_shot": "mmlab.evaluate.evaluators.zero_shot:ZeroShot",
    },
    "optimizer": {
        "adafactor": "mmlab.train.adafactor:Adafactor",
        "adamw": "mmlab.train.optimizers:AdamW",
        "muon": "mmlab.train.muon:Muon",
        "sgd": "mmlab.train.optimizers:SGD",
    },
    "schedule": {
        "constant": "mmlab.train.schedules:Constant",
        "cosine": "mmlab.train.schedules:Cosine",
        "inverse_sqrt": "mmlab.train.schedules:InverseSqrt",
        "linear": "mmlab.train.schedules:Linear",
        "one_cycle": "mmlab.train.schedules:OneCycle",
        "step": "mmlab.train.schedules:StepDecay",
    },
}
