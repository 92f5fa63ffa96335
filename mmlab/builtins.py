"""The components that core itself offers, named like a plugin's: heads and evaluators."""

from __future__ import annotations

from collections.abc import Mapping

#: Kind -> name used in TOML -> where the component is.
BUILTINS: Mapping[str, Mapping[str, str]] = {
    "head": {
        "identity": "mmlab.heads:Identity",
        "linear": "mmlab.heads:Linear",
        "mlp": "mmlab.heads:MLP",
        "ordinal": "mmlab.heads:Ordinal",
    },
    "evaluator": {
        "classification": "mmlab.evaluate.classification:Classification",
        "few_shot": "mmlab.evaluate.few_shot:FewShot",
        "linear_probe": "mmlab.evaluate.linear_probe:LinearProbe",
        "missing_modality": "mmlab.evaluate.missing_modality:MissingModality",
        "prompts": "mmlab.evaluate.prompt_study:PromptStudy",
        "regression": "mmlab.evaluate.regression:Regression",
        "retrieval": "mmlab.evaluate.retrieval:Retrieval",
        "zero_shot": "mmlab.evaluate.zero_shot:ZeroShot",
    },
}
