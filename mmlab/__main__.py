"""`python -m mmlab` is `mmlab`."""

from __future__ import annotations

from mmlab.cli import main

if __name__ == "__main__":
    main(prog_name="mmlab")
