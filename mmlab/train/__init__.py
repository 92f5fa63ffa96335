"""One training: the loop, optimisers, gradients and processes; it yields, and writes nothing."""
