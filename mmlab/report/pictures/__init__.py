"""Pictures of results as SVG: one drawing kit, and one module for each picture."""
