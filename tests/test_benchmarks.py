"""What benchmarks count with, and the stages of the script that measures on a GPU."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark of the share of the peak, imported as if it were run."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import peak

    return peak


def stages(text: str, **environment: str) -> tuple[int, str]:
    """Exit status and output of a script of stages."""
    script = f"source {BENCHMARKS / 'stages.sh'}\n{text}\nsummary"
    done = subprocess.run(
        ["bash", "-uc", script], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stdout


def test_a_failing_stage_stops_no_other_and_fails_the_whole() -> None:
    status, said = stages("stage first 9 false\nstage second 9 echo reached")
    assert status == 1
    assert "reached" in said
    first, second = said.splitlines()[-2:]
    assert first.startswith("first ")
    assert "failed, exit status 1" in first
    assert second.startswith("second ")
    assert second.endswith("ok")


def test_stages_that_all_pass_pass() -> None:
    assert stages("stage first 9 true\nstage second 9 true")[0] == 0


@pytest.mark.slow
def test_a_stage_that_hangs_is_stopped_even_if_it_ignores_that() -> None:
    started = time.monotonic()
    status, said = stages("""stage hung 1 bash -c 'trap "" TERM; sleep 60 & wait; sleep 60'""")
    assert status == 1
    assert "stopped after 1 s" in said
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_no_stage_outlasts_the_whole() -> None:
    text = "stage long 60 sleep 60\nstage late 60 echo reached"
    status, said = stages(text, TOTAL_SECONDS="7")
    assert status == 1
    assert "stopped after 1 s" in said
    assert "late         not run: 7 s are over" in said
    assert "reached" not in said


@pytest.mark.slow
def test_operations_of_a_step_are_those_that_torch_counts(peak: Any) -> None:
    import open_clip

    model = open_clip.CLIP(**peak.TINY)
    pixels = torch.randn(2, 3, 64, 64)
    ids = torch.randint(4, 49000, (2, 32))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        model.encode_image(pixels)
        model.encode_text(ids)
    assert peak.training_flops(peak.TINY) == 3 * counted.get_total_flops() / 2


def test_a_vit_b_32_takes_44_gflop_a_pair(peak: Any) -> None:
    towers = peak.open_clip.get_model_config("ViT-B-32")
    assert peak.training_flops(towers) == pytest.approx(44.3e9, rel=1e-2)


@pytest.mark.slow
def test_arms_take_turns_and_the_first_round_is_not_counted(peak: Any) -> None:
    from measuring import take_turns

    order: list[str] = []
    arms = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    seconds = take_turns(arms, 3, torch.device("cpu"))
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_a_result_goes_to_the_folder_that_is_named(
    peak: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from measuring import keep_result

    monkeypatch.setenv("BENCHMARK_RESULTS", str(tmp_path / "new"))
    keep_result("trial", torch.device("cpu"), ("torch",), {"ratio": 2})
    text = (tmp_path / "new" / "trial-cpu.json").read_text()
    assert '"ratio": 2' in text
    assert torch.__version__.split("+")[0] in text


def test_the_script_is_valid_shell() -> None:
    scripts = sorted(BENCHMARKS.glob("*.sh"))
    assert len(scripts) == 3
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
