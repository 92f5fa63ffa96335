"""Object detection: regions of a picture, their labels, and how found boxes are measured."""
