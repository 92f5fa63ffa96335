"""mmlab: declarative multimodal experiments whose every result can be compared."""

__version__ = "0.1.0"
