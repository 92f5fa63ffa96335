"""Workers that are killed and frozen at random while they work, and what must hold afterwards."""
