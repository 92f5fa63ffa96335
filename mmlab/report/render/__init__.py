"""Boards and cards as text, HTML and files."""
