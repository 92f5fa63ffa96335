"""Results of other tools: published figures come in, one's own go out."""
