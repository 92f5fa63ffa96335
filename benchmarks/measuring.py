"""What benchmarks share: the clock of a device, the facts of a machine, and where results are kept.

Results go to `benchmarks/results/NAME-DEVICE.json`, or to the folder that BENCHMARK_RESULTS names,
where figures of a trial are not to replace those that are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch


def device_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A command line with --device, CUDA where there is one, and --rounds."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds between two events of a CUDA device, or CPU seconds of the process.

    The first event is recorded on an idle device and the second after all that was launched, so
    that the host's own work counts wherever the device waits for it.
    """
    if device.type != "cuda":
        started = time.process_time()
        work()
        return time.process_time() - started
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    stream = torch.cuda.current_stream(device)
    torch.cuda.synchronize(device)
    start.record(stream)
    work()
    end.record(stream)
    end.synchronize()
    return start.elapsed_time(end) / 1000


def take_turns(
    arms: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each arm and round, in alternating order; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name in sorted(arms, reverse=bool(turn % 2)):
            taken = seconds_of(arms[name], device)
            if turn:
                seconds[name].append(taken)
    return seconds


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Minimum, median and maximum, rounded."""
    marks = {"minimum": min, "median": statistics.median, "maximum": max}
    return {name: round(pick(values), digits) for name, pick in marks.items()}


def clock_of(device: torch.device) -> str:
    """What `seconds_of` measures, in words."""
    return "device events" if device.type == "cuda" else "CPU time of the process"


def keep_result(
    name: str, device: torch.device, libraries: Sequence[str], document: Mapping[str, object]
) -> None:
    """Write what was found, with the machine and the versions of libraries, as JSON."""
    on_gpu = device.type == "cuda"
    whole = {
        "benchmark": name,
        **document,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
        "cuda": torch.version.cuda if on_gpu else None,
        "python": platform.python_version(),
        "versions": {library: version(library) for library in libraries},
    }
    folder = os.environ.get("BENCHMARK_RESULTS") or Path(__file__).parent / "results"
    path = Path(folder) / f"{name}-{device.type}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=2) + "\n")
