"""Write the numbers of all golden runs: `python tests/golden/write.py`, after raising NUMERICS."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support import golden

    golden.write()
    print(f"wrote {len(golden.read())} runs and records to {golden.GOLDEN}")
