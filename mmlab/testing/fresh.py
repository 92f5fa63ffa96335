"""Two fresh processes, with other hash seeds and folders, in which a dataset is read again.

Python orders sets by its hash seed, and a relative path starts at the working folder: what depends
on either is another dataset on another day. The processes import torch once, and fork for each
question, so that a check takes as long as reading does.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmlab.testing.tools import BUILD, Factory, ambient, build
from mmlab.testing.untouched import fingerprint

#: Set in those processes: a module that checks itself when it is imported starts no more of them.
_INSIDE = "MMLAB_TESTING_FRESH"
#: What a dataset declares, as far as it has it.
DECLARED = ("modalities", "labels", "templates", "is_multi_label", "prompt_names", "target_names")

#: By split: "ids", "revision", "declared", "sources", and by sample the fingerprints of its parts.
Told = Mapping[str, Mapping[str, Any]]  # Any: JSON


def read_elsewhere(factory: Factory, options: Mapping[str, object]) -> list[Told]:
    """What each of two fresh processes reads; empty where they could not find the factory.

    It must have a name in a module that can be imported: a class inside a function has none. What
    a process raises is raised here as RuntimeError.
    """
    job = _job(factory, options)
    if job is None or os.environ.get(_INSIDE) or not hasattr(os, "fork"):
        return []
    return [process.ask(job) for process in _processes()]


def _job(factory: Factory, options: Mapping[str, object]) -> bytes | None:
    name, module = getattr(factory, "__qualname__", "<locals>"), sys.modules[factory.__module__]
    if "<" in name or module.__name__ == "__main__" or not getattr(module, "__file__", None):
        return None
    placed = {
        key: value.absolute() if isinstance(value, Path) else value
        for key, value in options.items()
    }
    paths = [str(Path(path or ".").absolute()) for path in sys.path]
    try:
        return pickle.dumps((paths, module.__name__, module.__file__, name, placed))
    except (pickle.PicklingError, AttributeError, TypeError):  # components among the options
        return None


class _Process:
    """One of the processes: it waits for questions, and answers each from a fork of itself."""

    def __init__(self, hash_seed: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mmlab-fresh-")
        paths = [str(Path(path or ".").absolute()) for path in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from mmlab.testing.fresh import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(paths),
                _INSIDE: "1",
            },
        )

    def ask(self, job: bytes) -> Told:
        """What it reads. Raises RuntimeError in the words of what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(len(job).to_bytes(8, "little") + job)
        self._process.stdin.flush()
        path = self._process.stdout.readline().decode().strip()
        if not path:
            raise RuntimeError("a fresh process ended before it answered")
        answer: dict[str, Any] = json.loads(Path(path).read_text("utf-8") or "{}")
        if "splits" not in answer:
            raise RuntimeError(answer.get("error", "the process ended while it read"))
        told: Told = answer["splits"]
        return told

    def close(self) -> None:
        """End it and remove its folder."""
        self._process.communicate()  # closes its input, at which it ends
        self._folder.cleanup()


@cache
def _processes() -> Sequence[_Process]:
    """The two, started together when first asked for, ended with this process."""
    processes = [_Process("1"), _Process("2")]
    for process in processes:
        atexit.register(process.close)
    return processes


def serve() -> None:
    """Answer questions from stdin until it ends: the path of a JSON file for each, in one line."""
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a dataset prints is no answer
    folder, count = Path.cwd(), 0
    while size := source.read(8):
        job = source.read(int.from_bytes(size, "little"))
        count += 1
        path = folder / f"answer-{count}.json"
        path.touch()
        child = os.fork()
        if not child:
            _answer(job, path)
            os._exit(0)
        os.waitpid(child, 0)
        print(path, file=sink, flush=True)


def _answer(job: bytes, path: Path) -> None:
    try:
        answer: dict[str, object] = {"splits": _read(job)}
    except BaseException as error:  # whatever it is, the other process is to hear of it
        answer = {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.200}"}
    path.write_text(json.dumps(answer), "utf-8")


def _read(job: bytes) -> dict[str, dict[str, object]]:
    from mmlab.plugin import SPLITS

    paths, module, file, name, _ = pickle.loads(job)
    sys.path[:] = paths
    factory = _find(module, file, name)
    options = pickle.loads(job)[4]
    return {split: describe_split(build(factory, options, BUILD, split=split)) for split in SPLITS}


def _find(name: str, file: str, attribute: str) -> Callable[..., Any]:  # Any: as in tools
    """The factory, in the module of that name, or in the file where the name is not importable."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part)
    factory: Callable[..., Any] = found
    return factory


def describe_split(dataset: Any) -> dict[str, object]:  # Any: a Dataset with any optional part
    """What a split is, so that it can be compared with itself elsewhere."""
    from mmlab.plugin import Traced
    from mmlab.testing.dataset_contents import content

    with ambient(BUILD):
        samples = [dataset[index] for index in range(len(dataset))]
    sources = [dataset.trace(i) for i in range(len(samples))] if isinstance(dataset, Traced) else []
    return {
        "ids": [sample.id for sample in samples],
        "contents": [list(content(sample)) for sample in samples],
        "revision": dataset.revision,
        "declared": {name: fingerprint(getattr(dataset, name, None)) for name in DECLARED},
        "sources": [[o.group, fingerprint(dict(o.sources))] for o in sources],
    }
