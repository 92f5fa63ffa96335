"""What the two directions of retrieval are called, by modalities."""

from __future__ import annotations


def name_directions(first: str, second: str) -> tuple[str, str]:
    """Named by what the two sides are, and by their places as well where both are the same.

    >>> name_directions("image", "text"), name_directions("text", "text")
    (('image_to_text', 'text_to_image'), ('text_1_to_text_2', 'text_2_to_text_1'))
    """
    if first == second:
        first, second = f"{first}_1", f"{second}_2"
    return f"{first}_to_{second}", f"{second}_to_{first}"
