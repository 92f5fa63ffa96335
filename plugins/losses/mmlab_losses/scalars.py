"""What the scalars of several losses are, as metrics."""

from __future__ import annotations

from mmlab.plugin import SHARE, Metric

#: The loss itself, where it is a logarithm of probabilities.
IN_NATS = Metric("loss", "lower", "nats")
#: The share of questions that are answered rightly.
ACCURACY = Metric("accuracy", "higher", SHARE)
#: 1 / temperature, which no value makes better.
SCALE = Metric("scale")
#: The same loss of pairs with further views.
OF_VIEWS = Metric("views", "lower", "nats")
