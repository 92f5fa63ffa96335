"""Imported results can be removed, and nothing that was executed here."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from support.published_figures import BENCHMARK, OPEN_CLIP, bring, write
from support.report_values import ranked, record
from support.store_values import dump

from mmlab.cli import main
from mmlab.store import Store, open_store


def remove(url: str, *arguments: str) -> tuple[int, str]:
    """The exit code of `mmlab import remove`, and all that it says."""
    done = CliRunner().invoke(main, ["import", "remove", *arguments, "--db", url])
    return done.exit_code, done.output


def test_all_of_a_tool_goes_and_only_when_told_to(database_url: str, tmp_path: Path) -> None:
    with open_store(database_url, create=True) as store:
        record(store, ranked([1, 2, 3]))
    before = dump(database_url)
    figures = write(tmp_path / "benchmark.csv", BENCHMARK)
    bring(database_url, "clip-benchmark", figures)
    imported = dump(database_url)
    assert len(imported["runs"]) == len(before["runs"]) + 3
    code, said = remove(database_url, "clip-benchmark")
    assert (code, dump(database_url)) == (0, imported)
    assert "3 imported runs" in said
    assert "can go: add --yes to delete" in said
    code, said = remove(database_url, "clip-benchmark", "--yes")
    assert code == 0
    assert "deleted" in said
    after = dump(database_url)
    for table in ("runs", "evaluations", "metrics", "sample_results"):
        assert after[table] == before[table]
    assert bring(database_url, "clip-benchmark", figures)["added"] == 5


def test_a_run_of_its_own_name_leaves_the_others(sqlite_url: str, tmp_path: Path) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    bring(sqlite_url, "open-clip", write(tmp_path / "a.csv", OPEN_CLIP))
    with open_store(sqlite_url) as store:
        first, *others = store.runs(experiment="clip-benchmark")
    assert remove(sqlite_url, first.run_id[:12], "--yes")[0] == 0
    with open_store(sqlite_url) as store:
        assert first.run_id not in {row.run_id for row in store.runs()}
        assert {row.run_id for row in others} <= {row.run_id for row in store.runs()}


def test_what_was_executed_here_is_refused_and_nothing_goes(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path
) -> None:
    run_id = record(sqlite_store, ranked([1, 2, 3]))
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    before = dump(sqlite_url)
    for names in (["emoji"], [run_id], ["clip-benchmark", "emoji"], ["nobody"], [""]):
        code, said = remove(sqlite_url, *names, "--yes")
        assert code == 2
        assert "nothing was removed" in said
        assert dump(sqlite_url) == before
