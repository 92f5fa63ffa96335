"""Where the checkout is, and the spec files that lie in it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
EXPERIMENTS = sorted(ROOT.glob("experiments/**/*.toml"))
