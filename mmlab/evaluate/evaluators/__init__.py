"""The built-in evaluators, one file for each question that a model is asked."""
