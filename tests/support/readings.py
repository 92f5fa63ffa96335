"""What every command that reads a database says of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import NoneType

import polars as pl
from click.testing import CliRunner

from mmlab.cli import main
from mmlab.store import open_store
from mmlab.store.address import parse_address

#: By name: what follows `mmlab`; {done} and the like are the ids of runs, by their train hashes.
READINGS = {
    "ls": "ls",
    "ls as JSON": "ls --json",
    "ls of done runs": "ls --status done",
    "show of an experiment": "show emoji",
    **{
        f"show {which}": f"show {{{which}}} --json"
        for which in ("done", "failed", "released", "running", "cancelled")
    },
    "show an import": "show published --json",
    "show done": "show {done}",
    "show a spec": "show {done} --spec",
    "show versions": "show {done} --env",
    "show attempts": "show {cancelled} --log",
    "show a failure": "show {failed} --log",
    "show a sample": "show {done} --sample a --evaluation zero_shot",
    "report": "report",
    "report as JSON": "report --json",
    "report as Markdown": "report --format md",
    "report as CSV": "report --format csv",
    "report of a run": "report {done} --format md",
    "gain": "report --table fusion_gain",
    "robustness": "report --table robustness",
    "export": "export clip-benchmark",
    "gc": "gc",
    "revision": "db current",
}


def readings(url: str, folder: Path) -> dict[str, str]:
    """Exit code and all that is printed, by reading, with one name for the database."""
    display = parse_address(url).display
    with open_store(url) as store:
        ids = {
            run.train_hash.split("-")[1]: run.run_id for run in store.runs() if run.origin is None
        }
    said = {name: _said(words.format(**ids).split(), url) for name, words in READINGS.items()}
    for ending in ("html", "parquet"):
        path = folder / f"report.{ending}"
        said[ending] = _said(["report", "--out", str(path)], url)
        said[ending] += (
            str(pl.read_parquet(path).to_dicts()) if ending == "parquet" else path.read_text()
        )
    said["html"] = re.sub(r"20[-0-9]+ [0-9:]+ UTC by", "NOW by", said["html"])
    return {name: text.replace(display, "DATABASE") for name, text in said.items()}


def _said(arguments: list[str], url: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--db", url])
    if not isinstance(done.exception, (SystemExit, NoneType)):
        raise done.exception
    return f"{done.exit_code}\n{done.output}"
