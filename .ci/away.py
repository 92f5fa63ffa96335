"""What a user without the checkout does in the first minutes, a stranger's plugin included.

Runs in an empty folder that holds shapes.toml, with the Python of a clean environment.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmlab

COMPONENTS = {
    ("encoder", "grid"),
    ("fusion", "product"),
    ("loss", "hinge"),
    ("dataset", "shapes"),
    ("metric", "margin"),
}


def call(*arguments: str) -> str:
    """Stdout of a command, which must succeed."""
    print("$ mmlab", *arguments, flush=True)
    command = [Path(sys.executable).parent / "mmlab", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout[:2000], flush=True)
    assert done.returncode == 0, f"exit code {done.returncode}"
    return done.stdout


def ask(*arguments: str) -> Any:  # Any: a JSON document
    """What a command says in JSON."""
    return json.loads(call(*arguments, "--json"))


assert Path(mmlab.__file__).is_relative_to(sys.prefix), f"not the wheel: {mmlab.__file__}"
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "2")

call("init")
call("validate", "first.toml", "shapes.toml")
call("db", "init")
components = ask("plugins", "list")["components"]
strange = [c for c in components if c["distribution"] == "stranger-mmlab"]
assert {(c["kind"], c["name"]) for c in strange} == COMPONENTS, strange
assert all(c["version"] == "3.1.4" and c["state"] == "ok" for c in strange), strange
assert all(c["state"] == "ok" for c in components), components

first = ask("run", "shapes.toml")["outcomes"]
assert [outcome["status"] for outcome in first] == ["done"], first
before = ask("ls")["runs"]
second = ask("run", "shapes.toml")["outcomes"]
assert [outcome["status"] for outcome in second] == ["skipped"], second
assert ask("ls")["runs"] == before, "the second run changed a row"
assert "stranger-mmlab" in call("show", "@last", "--env"), "provenance does not name the plugin"
assert "stranger-shapes" in call("report")
call("report", "--out", "report.html")
assert Path("report.html").stat().st_size > 1000

call("plugins", "new", "fusion", "my-fusion")
assert Path("my-fusion/.github/workflows/ci.yml").is_file(), "the wheel lacks templates"
