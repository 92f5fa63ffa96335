"""Files of data as people have them, generated, and plain readers that say what is in each."""
