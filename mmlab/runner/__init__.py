"""A cell becomes a stored run: identify, claim, execute, record; and load again."""
