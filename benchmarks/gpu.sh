#!/usr/bin/env bash
# Everything that waits for a GPU, in one go of at most eight minutes: the tests marked gpu, then the
# benchmarks of training steps, contrastive training beside its peers and the share of the bf16 peak,
# zero-shot and kept features. Results go to benchmarks/results/*-cuda.json.
#
#     benchmarks/gpu.sh                 on a machine with CUDA
#     DEVICE=cpu benchmarks/gpu.sh      a trial with small sizes; also where there is no CUDA
#
# Results of a trial go to a folder of their own, and so do any where BENCHMARK_RESULTS names one.
# The Python is PYTHON, the checkout's .venv, or python3; where benchmarks/gpu_wheels.sh has put wheels
# into .whl (or WHEELS), what they hold is installed beside it for this run. Needs no network.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/stages.sh

export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
wheels=${WHEELS:-.whl}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python=${PYTHON:-}
if [[ -z $python ]]; then
  python=python3
  if [[ -x .venv/bin/python ]]; then python=.venv/bin/python; fi
fi

install() {
  compgen -G "$wheels/*.whl" >/dev/null || return 0
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
    --disable-pip-version-check --target "$scratch/site" "$wheels"/*.whl
}

describe() {
  "$python" - <<'PYTHON'
import importlib.metadata as metadata
import platform

import torch

import mmlab

found = {d.name: d.version for d in metadata.distributions()}
print("python", platform.python_version(), "torch", torch.__version__, "mmlab", mmlab.__file__)
print("device", torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu")
print({name: found.get(name) for name in ("mmlab-encoders", "open_clip_torch", "timm", "x-clip")})
PYTHON
}

marked() {
  local files
  mapfile -t files < <(grep -rlE 'mark\.gpu\b' tests plugins --include='test_*.py')
  if ((${#files[@]} == 0)); then
    echo "no test is marked gpu" >&2
    return 1
  fi
  "$python" -m pytest -n0 -q -p no:cacheprovider -m gpu "${files[@]}" | tee "$scratch/tests"
  local status=${PIPESTATUS[0]}
  # Skipped tests have shown nothing, and on a GPU none may be skipped.
  if [[ $device == cuda ]] && grep -qE '[0-9]+ skipped' "$scratch/tests"; then return 1; fi
  return "$status"
}

# `timeout` runs programs, not functions.
step() { stage "$1" "$2" bash -c "$(declare -f "$3"); $3"; }
benchmark() { stage "$1" "$2" "$python" "benchmarks/$3.py" --device "$device" "${@:4}"; }

export python scratch wheels
step install 40 install
# The checkout's code stands before what wheels hold of it; those say what components there are.
if [[ -d $scratch/site ]]; then
  export PYTHONPATH=$PWD:$(printf '%s:' "$PWD"/plugins/*)$scratch/site
fi

device=${DEVICE:-$("$python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")')}
device=${device:-cpu}
export device
if [[ $device != cuda ]]; then
  export BENCHMARK_RESULTS=${BENCHMARK_RESULTS:-$(mktemp -d)}
fi

step versions 20 describe
step tests 60 marked
if [[ $device == cuda ]]; then
  benchmark steps 40 step --rounds 15
  benchmark contrastive 60 contrastive --rounds 10
  benchmark peak 60 peak
  benchmark zero-shot 45 classifier
  benchmark measures 30 zero_shot_measures
  benchmark features 45 features
  benchmark compiled 70 peak --compile --models ViT-B-32
else
  benchmark steps 40 step --rounds 2 --sizes tiny
  benchmark contrastive 60 contrastive --rounds 2
  benchmark peak 40 peak --rounds 2
  benchmark zero-shot 90 classifier --rounds 1 --pictures 32
  benchmark measures 60 zero_shot_measures --rounds 1 --samples 1000
  benchmark features 80 features --rounds 1 --steps 2 --pixels 32
fi
printf '\nresults: %s\n' "${BENCHMARK_RESULTS:-benchmarks/results}"
summary
