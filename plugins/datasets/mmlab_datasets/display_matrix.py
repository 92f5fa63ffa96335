"""How a video is turned for display: quarter turns and mirroring, as EXIF says them of a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]

#: What rounding may leave of a cosine that is zero.
_ZERO = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """Swap of rows and columns, then rows bottom to top, then columns right to left."""

    swaps: bool = False
    flips_rows: bool = False
    flips_columns: bool = False

    def apply(self, frame: Frame) -> Frame:
        """A frame (H, W, 3) as it is shown; (W, H, 3) where rows and columns are swapped."""
        turned = frame.swapaxes(0, 1) if self.swaps else frame
        turned = turned[::-1] if self.flips_rows else turned
        return turned[:, ::-1] if self.flips_columns else turned


def read_turn(matrix: bytes) -> Turn:
    """The turn of a display matrix: nine int32 in this machine's order, as FFmpeg gives it.

    A point (x, y) of the stored frame, y downwards, is shown at (a x + c y, b x + d y), where the
    matrix begins a, b, u, c, d. Its lengths are of no interest; one of zeros alone turns nothing.
    Raises ValueError for any other angle.
    """
    if len(matrix) != 36:
        raise ValueError(f"a display matrix of {len(matrix)} bytes")
    a, b, _, c, d, *_ = np.frombuffer(matrix, "=i4").astype(float).tolist()
    largest = max(map(abs, (a, b, c, d)))
    straight, crossed = min(abs(a), abs(d)), min(abs(b), abs(c))
    if not largest:
        return Turn()
    if straight and max(abs(b), abs(c)) <= _ZERO * straight:
        return Turn(flips_rows=d < 0, flips_columns=a < 0)
    if crossed and max(abs(a), abs(d)) <= _ZERO * crossed:
        return Turn(swaps=True, flips_rows=b < 0, flips_columns=c < 0)
    raise ValueError(f"it is shown turned by {math.degrees(math.atan2(b, a)):.0f} degrees")
