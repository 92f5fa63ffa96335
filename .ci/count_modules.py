"""How many modules of mmlab one cell passes through, from `mmlab run` to its results.

A module counts when a function or class body of it runs; a package that holds a docstring alone
does not. Ends with 1 where there are more than the argument allows. What a child process does is
seen where the cell is executed in this process:

    python .ci/count_modules.py 70
    MMLAB_IN_PROCESS=1 python .ci/count_modules.py 130
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from types import FrameType

from click.testing import CliRunner


def count(*arguments: str) -> list[str]:
    """The modules of mmlab that a command passes through, sorted. It must succeed."""
    passed = set[str]()

    def note(frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] == "mmlab" and frame.f_code.co_name != "<module>":
            passed.add(name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        from mmlab.cli import main

        done = CliRunner().invoke(main, arguments)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if done.exit_code:
        sys.exit(done.output)
    return sorted(passed)


if __name__ == "__main__":
    most = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        # In a process of its own: what is already imported would not count.
        subprocess.run([sys.executable, "-m", "mmlab", "init"], check=True, capture_output=True)
        names = count("run", "first.toml", "--device", "cpu", "--set", "train.max_steps=2")
    print(f"one cell passes through {len(names)} modules of mmlab, at most {most} are allowed")
    if len(names) > most:
        sys.exit("\n".join(names))
