"""Entry points of plugins, loaded one by one: one that fails takes no other with it.

pluggy's own loading is not used: it stops at the first broken plugin without naming it, and skips a
second distribution whose entry point has the same name.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions
from threading import Timer
from typing import Any

import pluggy

from mmlab.plugin import GROUP, Hooks

#: The hook that gives the components of each kind.
HOOKS: Mapping[str, str] = {
    "encoder": "mmlab_encoders",
    "fusion": "mmlab_fusions",
    "loss": "mmlab_losses",
    "dataset": "mmlab_datasets",
    "generator": "mmlab_generators",
    "metric": "mmlab_metrics",
}

logger = logging.getLogger(__name__)
#: How long an import may take before it is told whose it is.
PATIENCE_SECONDS = 5.0

_NAME_LINE = re.compile(r"^name:[ \t]*(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"\w[\w.-]*\Z")
_TARGET = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*\Z")


@dataclass(frozen=True)
class Offer:
    """An entry point of mmlab's group, and the distribution it belongs to.

    `point` is None where the distribution's list of entry points cannot be read.
    """

    distribution: str
    version: str
    is_editable: bool
    entry_point: str
    point: EntryPoint | None


@dataclass(frozen=True)
class Loaded:
    """What an entry point gives: (kind, name, target) of its components, or the error instead."""

    offer: Offer
    components: tuple[tuple[str, str, str], ...] = ()
    error: BaseException | None = None


class HookError(Exception):
    """A plugin's hooks are not what mmlab asks for."""


def find_offers() -> list[Offer]:
    """All entry points of the group, by distribution and name.

    Of a distribution that is on the path twice only the first counts, as for imports.
    """
    by_distribution: dict[str, list[Offer]] = {}
    for distribution in distributions():
        name = _name(distribution)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in by_distribution:
            by_distribution[key] = list(_offers(distribution, name))
    found = [offer for offers in by_distribution.values() for offer in offers]
    return sorted(found, key=lambda offer: (offer.distribution, offer.entry_point))


def _offers(distribution: Distribution, name: str) -> Iterator[Offer]:
    text = distribution.read_text("entry_points.txt")
    if text is None or GROUP not in text:
        return
    origin = (name, _version(distribution), _is_editable(distribution))
    try:
        points = list(distribution.entry_points.select(group=GROUP))
    except Exception:  # importlib.metadata fails in its own ways on a malformed file
        yield Offer(*origin, "entry_points.txt", None)
        return
    for point in points:
        yield Offer(*origin, point.name, point)


def _name(distribution: Distribution) -> str:
    try:
        # `distribution.metadata` parses whole files, of which the name is one of the first lines.
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        written = _NAME_LINE.search(text.partition("\n\n")[0])
        name = written[1] if written else distribution.metadata["Name"]
    except Exception:  # absent or malformed metadata
        name = None
    return name or f"a distribution without name in {distribution.locate_file('')}"


def _version(distribution: Distribution) -> str:
    try:
        return distribution.version or "?"
    except Exception:  # absent or malformed metadata
        return "?"


def is_editable(name: str) -> bool:
    """Whether a distribution is installed so that edits of its source change what is imported."""
    try:
        return _is_editable(Distribution.from_name(name))
    except PackageNotFoundError:
        return False


def _is_editable(distribution: Distribution) -> bool:
    """Whether edits of the source change what is imported while the version stays the same."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable", False))
    except (ValueError, AttributeError):
        return False


def load(offer: Offer) -> Loaded:
    """Import one entry point and ask its hooks. Never raises for what a plugin does."""
    try:
        if offer.point is None:
            raise HookError("entry_points.txt cannot be read")
        with announced(f"{offer.distribution} {offer.version}"):
            plugin = offer.point.load()
        return Loaded(offer, tuple(_ask(plugin, f"{offer.distribution}:{offer.entry_point}")))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may fail in any way while loading
        return Loaded(offer, error=error)


@contextmanager
def announced(who: str) -> Iterator[None]:
    """Say whose import takes long, while it does: a silent half minute looks like a hang."""
    after = PATIENCE_SECONDS
    message = f"still importing {who}, after {after:g} s"
    timer = Timer(after, logger.warning, [message])
    timer.daemon = True  # an import that never ends keeps no process alive
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # so that no process is forked beside a thread


def _ask(plugin: object, name: str) -> Iterator[tuple[str, str, str]]:
    """The components that a plugin's hooks give. Each plugin has a pluggy manager of its own, so

    that what is wrong with one is never said of another.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    manager.register(plugin, name=name)
    manager.check_pending()
    _require_marks(plugin)
    for kind, hook_name in HOOKS.items():
        for implementation in getattr(manager.hook, hook_name).get_hookimpls():
            yield from _components(kind, hook_name, implementation.function())


def _require_marks(plugin: object) -> None:
    """Raise HookError where a plugin has no hook at all, or one without its mark."""
    names = [name for name in dir(plugin) if name.startswith(f"{GROUP}_")]
    routines = [name for name in names if inspect.isroutine(getattr(plugin, name))]
    unmarked = [n for n in routines if not hasattr(getattr(plugin, n), f"{GROUP}_impl")]
    if unmarked:
        raise HookError(f"{', '.join(unmarked)} lacks @hookimpl")
    if not routines:
        raise HookError(f"has no hook; one of {', '.join(HOOKS.values())} is expected")


def _components(kind: str, hook_name: str, given: Any) -> Iterator[tuple[str, str, str]]:
    """What a hook returned, checked. Any: a plugin may return anything."""
    if not isinstance(given, Mapping):
        raise HookError(f"{hook_name} returned {given!r:.80}, not a mapping of names to targets")
    for name, target in given.items():
        if not (isinstance(name, str) and _NAME.match(name)):
            raise HookError(f"{hook_name} gave the name {name!r:.80}: letters, digits, _ . - only")
        if not (isinstance(target, str) and _TARGET.match(target)):
            raise HookError(f'{hook_name} gave {name} the target {target!r:.80}, not "module:name"')
        yield kind, name, target
