"""Real, throw-away distributions on the path: what they offer is found, what is broken is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmlab.errors import PluginError
from mmlab.plan.component import numerics_of
from mmlab.plan.discover import is_editable
from mmlab.plan.registry import BUILTINS, ComponentEntry, PluginFailure, Registry

Install = Callable[..., Path]

GOOD = """
from mmlab.plugin import hookimpl

@hookimpl
def mmlab_fusions():
    return NAMES
"""
PARTS = "def Blend(dims, *, dim: int = 3): ...\nthing = 3\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a distribution with one package to a folder of its own on the path."""
    before = set(sys.modules)

    def write(
        name: str,
        code: str | None = None,
        *,
        offers: str | None = None,
        version: str = "1.0",
        is_editable: bool = False,
        entry_point: str = "plugin",
    ) -> Path:
        package = name.replace("-", "_")
        site = tmp_path / f"{name}-{version}-site"
        (site / package).mkdir(parents=True)
        names = offers or f'{{"{package}": "{package}.parts:Blend"}}'
        written = GOOD.replace("NAMES", names) if code is None else code
        (site / package / "__init__.py").write_text(written)
        (site / package / "parts.py").write_text(PARTS)
        record = site / f"{package}-{version}.dist-info"
        record.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (record / "METADATA").write_text(metadata)
        (record / "entry_points.txt").write_text(f"[mmlab]\n{entry_point} = {package}\n")
        if is_editable:
            origin = {"url": f"file://{site}", "dir_info": {"editable": True}}
            (record / "direct_url.json").write_text(json.dumps(origin))
        monkeypatch.syspath_prepend(str(site))
        return site

    yield write
    for module in set(sys.modules) - before:
        if module.startswith("acme"):
            del sys.modules[module]


def failure(distribution: str) -> PluginFailure:
    (found,) = [f for f in Registry.discover().failures if f.distribution == distribution]
    return found


def test_a_component_is_found_with_its_origin(install: Install) -> None:
    install("acme-blend", version="2.1")
    entry = Registry.discover().entry("fusion", "acme_blend")
    assert (entry.distribution, entry.version) == ("acme-blend", "2.1")
    assert (entry.target, entry.state) == ("acme_blend.parts:Blend", "ok")


def test_a_component_is_imported_only_when_it_is_resolved(install: Install) -> None:
    install("acme-blend")
    registry = Registry.discover()
    assert "acme_blend.parts" not in sys.modules
    factory = registry.resolve("fusion", "acme_blend")
    assert factory is sys.modules["acme_blend.parts"].Blend
    assert registry.resolve("fusion", "acme_blend") is factory


def test_builtins_belong_to_mmlab() -> None:
    registry = Registry.discover(BUILTINS)
    assert registry.entry("head", "linear").distribution == "mmlab"
    assert registry.entry("evaluator", "zero_shot").source_hash is None


def test_entries_are_sorted_and_chosen_by_kind(install: Install) -> None:
    install("acme-b", offers='{"b": "acme_b.parts:Blend", "a": "acme_b.parts:Blend"}')
    registry = Registry.discover(BUILTINS)
    assert [e.name for e in registry.entries("fusion") if e.distribution == "acme-b"] == ["a", "b"]
    keys = [(e.kind, e.name) for e in registry.entries()]
    assert keys == sorted(keys)


HOOK = "from mmlab.plugin import hookimpl\n@hookimpl\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit('early')", "GeneratorExit: early"),
        ("raise type('Mute', (BaseException,), {'__str__': lambda self: 1 / 0})", "Mute: what it"),
        ("def f(:\n    pass", "SyntaxError: invalid syntax ("),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (HOOK + "def mmlab_encodrs(): return {}", "unknown hook 'mmlab_encodrs'"),
        (HOOK + "def mmlab_losses(extra): return {}", "extra"),
        (HOOK + "def mmlab_losses(): raise KeyError('x')", "KeyError: 'x'"),
        (HOOK + "def mmlab_losses(): return None", "mmlab_losses returned None"),
        (HOOK + "def mmlab_losses(): return ['a']", "mmlab_losses returned ['a']"),
        (HOOK + "def mmlab_losses(): return {1: 'a:b'}", "gave the name 1"),
        (HOOK + "def mmlab_losses(): return {'a b': 'a:b'}", "gave the name 'a b'"),
        (HOOK + "def mmlab_losses(): return {'a': 'a.b'}", "gave a the target 'a.b'"),
        (HOOK + "def mmlab_losses(): return {'a': print}", "gave a the target <built-in"),
        ("def mmlab_losses(): return {}", "mmlab_losses lacks @hookimpl"),
        ("x = 1", "has no hook"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason(install: Install, code: str, reason: str) -> None:
    install("acme-broken", code, version="0.3")
    found = failure("acme-broken")
    assert (found.version, found.entry_point) == ("0.3", "plugin")
    assert reason in found.reason
    assert "\n" not in found.reason
    assert "Traceback" in found.traceback or "SyntaxError" in found.traceback


def test_a_broken_plugin_takes_no_other_with_it(install: Install) -> None:
    install("acme-a")
    install("acme-broken", HOOK + "def mmlab_encodrs(): return {}")
    install("acme-z")
    registry = Registry.discover()
    names = {entry.name for entry in registry.entries("fusion")}
    assert {"acme_a", "acme_z"} <= names
    assert [f.distribution for f in registry.failures] == ["acme-broken"]


def test_an_entry_point_may_name_an_attribute_that_is_not_there(install: Install) -> None:
    site = install("acme-broken")
    (site / "acme_broken-1.0.dist-info" / "entry_points.txt").write_text(
        "[mmlab]\nplugin = acme_broken:nothing\n"
    )
    assert "nothing" in failure("acme-broken").reason


def test_entry_points_that_cannot_be_read_are_a_failure(install: Install) -> None:
    site = install("acme-broken")
    (site / "acme_broken-1.0.dist-info" / "entry_points.txt").write_text("[mmlab]\nplugin\n")
    assert failure("acme-broken").distribution == "acme-broken"


def test_metadata_that_is_missing_stops_nothing(install: Install) -> None:
    site = install("acme-nameless")
    (site / "acme_nameless-1.0.dist-info" / "METADATA").unlink()
    Registry.discover()


def test_two_distributions_may_have_entry_points_of_one_name(install: Install) -> None:
    install("acme-a", entry_point="fusions")
    install("acme-b", entry_point="fusions")
    registry = Registry.discover()
    assert registry.resolve("fusion", "acme_a") is not registry.resolve("fusion", "acme_b")


def test_one_plugin_may_be_behind_two_entry_points(install: Install) -> None:
    site = install("acme-twice")
    (site / "acme_twice-1.0.dist-info" / "entry_points.txt").write_text(
        "[mmlab]\na = acme_twice\nb = acme_twice\n"
    )
    assert Registry.discover().entry("fusion", "acme_twice").state == "ok"


def test_a_name_offered_twice_names_both_distributions(install: Install) -> None:
    install("acme-a", offers='{"blend": "acme_a.parts:Blend"}')
    install("acme-b", offers='{"blend": "acme_b.parts:Blend"}', version="4.5")
    registry = Registry.discover()
    with pytest.raises(PluginError) as caught:
        registry.resolve("fusion", "blend")
    assert "acme-a 1.0" in str(caught.value)
    assert "acme-b 4.5" in str(caught.value)
    entries = [entry for entry in registry.entries("fusion") if entry.name == "blend"]
    assert [entry.state for entry in entries] == ["broken", "broken"]


def test_one_name_for_two_kinds_is_no_clash(install: Install) -> None:
    code = HOOK + "def mmlab_fusions(): return {'a': 'acme_a.parts:Blend'}\n"
    install("acme-a", code + "@hookimpl\ndef mmlab_losses(): return {'a': 'acme_a.parts:Blend'}")
    registry = Registry.discover()
    assert registry.entry("fusion", "a").state == registry.entry("loss", "a").state == "ok"


def test_a_distribution_found_twice_counts_once(install: Install) -> None:
    install("acme-a", version="1.0")
    install("acme-a", version="2.0")
    assert Registry.discover().entry("fusion", "acme_a").version == "2.0"


def test_an_unknown_name_says_what_there_is_and_what_failed(install: Install) -> None:
    install("acme-blend")
    install("acme-broken", "import no_such_module_at_all", version="0.3")
    with pytest.raises(PluginError) as caught:
        Registry.discover().resolve("fusion", "acme_blnd")
    message = str(caught.value)
    assert 'did you mean "acme_blend"?' in message
    assert "allowed: acme_blend" in message
    assert "1 plugin failed to load:" in message
    assert "acme-broken 0.3: ModuleNotFoundError" in message


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("acme_blend.nowhere:Blend", "No module named 'acme_blend.nowhere'"),
        ("acme_blend.parts:Blnd", "has no attribute 'Blnd'"),
        ("acme_blend.parts:thing", "is not callable"),
    ],
)
def test_a_component_that_does_not_import_names_its_plugin(
    install: Install, target: str, reason: str
) -> None:
    install("acme-blend", offers=f'{{"blend": "{target}"}}')
    with pytest.raises(PluginError) as caught:
        Registry.discover().resolve("fusion", "blend")
    assert reason in str(caught.value)
    assert "acme-blend 1.0" in str(caught.value)


@pytest.mark.parametrize("target", ["acme_blend.parts:Blend", "acme_blend:Blend"])
def test_an_edit_of_an_editable_plugin_changes_its_hash(install: Install, target: str) -> None:
    site = install("acme-blend", is_editable=True, offers=f'{{"acme_blend": "{target}"}}')
    before = Registry.discover().entry("fusion", "acme_blend").source_hash
    assert before == Registry.discover().entry("fusion", "acme_blend").source_hash
    (site / "acme_blend" / "parts.py").write_text(PARTS + "# edited\n")
    after = Registry.discover().entry("fusion", "acme_blend").source_hash
    assert before is not None
    assert after != before


def test_an_edit_of_mmlab_changes_the_hash_of_what_is_in_that_module(install: Install) -> None:
    site = install("acme-blend")

    def hashed(*, is_editable: bool = True) -> str | None:
        target = "acme_blend.parts:Blend"
        entry = ComponentEntry("head", "blend", target, "mmlab", "1", "mmlab")
        return replace(entry, is_editable=is_editable).source_hash

    before = hashed()
    (site / "acme_blend" / "other.py").write_text("# of something else\n")
    assert hashed() == before
    (site / "acme_blend" / "parts.py").write_text(PARTS + "# edited\n")
    assert hashed() not in (None, before)
    assert hashed(is_editable=False) is None


def test_heads_have_a_hash_where_mmlab_is_editable_and_evaluators_a_version() -> None:
    registry = Registry.discover(BUILTINS)
    hashes = {entry.source_hash for entry in registry.entries("head")}
    assert len(hashes) == 1  # they are in one module
    assert (hashes == {None}) == (not is_editable("mmlab"))
    assert {entry.source_hash for entry in registry.entries("evaluator")} == {None}


def test_an_installed_plugin_has_a_version_instead_of_a_hash(install: Install) -> None:
    install("acme-blend")
    assert Registry.discover().entry("fusion", "acme_blend").source_hash is None


def test_entries_can_be_members_of_a_set() -> None:
    entries = Registry.discover(BUILTINS).entries()
    assert len({*entries, *entries}) == len(entries)


@pytest.mark.slow
def test_every_component_of_ours_says_what_it_computes_by_a_number() -> None:
    """A new version of mmlab or of its plugins then runs nothing again."""
    registry = Registry.discover(BUILTINS)
    ours = [entry for entry in registry.entries() if entry.distribution.startswith("mmlab")]
    assert len(ours) > 60
    for entry in ours:
        assert numerics_of(entry, registry.resolve(entry.kind, entry.name)) is not None, entry


def test_an_import_that_takes_long_is_announced_while_it_does(
    install: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mmlab.plan.discover.PATIENCE_SECONDS", 0.05)
    site = install("acme-slow", version="0.3")
    (site / "acme_slow" / "parts.py").write_text(f"import time\ntime.sleep(0.5)\n{PARTS}")
    registry = Registry.discover()
    caplog.clear()
    registry.resolve("fusion", "acme_slow")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["still importing acme_slow.parts:Blend of acme-slow 0.3, after 0.05 s"]
