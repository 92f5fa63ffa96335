"""Fusions that do not fit their inputs, their memory, their head, or the budget of a sweep."""

from __future__ import annotations

from support.bad_inputs import Case, Says

FUSION = 'use = "product"\ndim = 4'
HEAD = '[head]\nuse = "linear"'
WORDS = '[encoders.words]\nuse = "transformer"\nmodality = "text"'


def fusion(name: str, table: str, says: Says, *, head: str = HEAD) -> Case:
    """A fusion that the model cannot be built with."""
    edits = ((FUSION, table), (HEAD, head))
    return Case(name, 1, says, edits, leaves="a failed run")


def spec(name: str, table: str, says: Says) -> Case:
    """A table after `gating` that makes the spec invalid."""
    edits = ((FUSION, f'use = "gating"\n{table}'),)
    return Case(name, 3, says, edits)


CASES = [
    fusion(
        "an inner product of unequal widths",
        'use = "inner_product"',
        Says(
            "spec.toml:20:1: fusion.dim",
            "vectors of one width",
            "widths 4 and 32",
            "equal widths",
            "fusion.dim",
        ),
    ),
    fusion(
        "a bilinear form over the limit of memory",
        'use = "bilinear"\ndim = 10_000\nlimit_mib = 1',
        Says(
            "spec.toml:23:13: fusion.limit_mib",
            "more memory than the limit",
            "10000 x 4 x 32 = 1280000 weights, 5 MiB",
            "up to 1 MiB",
            "low_rank_bilinear",
        ),
    ),
    fusion(
        "a tensor fusion over the limit of its width",
        'use = "tensor_fusion"\nlimit = 100',
        Says(
            "spec.toml:22:9: fusion.limit",
            "wider than the limit",
            "5 x 33 = 165",
            "up to 100",
            "inner_dim",
        ),
    ),
    spec(
        "a gate of one modality alone",
        'inputs = ["image"]',
        Says(
            "spec.toml:22:10: fusion.inputs",
            "gating joins two or more inputs",
            "1: image",
            "two or more encoders",
            "a fusion that joins one input: mmlab plugins list --kind fusion",
        ),
    ),
    Case(
        "projections by direction, of three modalities",
        3,
        Says(
            "spec.toml:25:7: fusion.use",
            "directional_projections joins exactly two inputs",
            "3: image, text, words",
            "exactly two encoders",
            "a fusion that joins three inputs: mmlab plugins list --kind fusion",
        ),
        (
            (FUSION, 'use = "directional_projections"'),
            ("[fusion]", f"{WORDS}\n\n[fusion]"),
        ),
        arguments=("run", "spec.toml", "--dry-run"),
    ),
    Case(
        "a ranking of labels by an inner product of three modalities",
        3,
        Says(
            "spec.toml:38:1: evaluate.0",
            "'zero_shot' reads the model's similarity",
            "a model that gives prediction, vector",
            "a fusion of exactly two inputs",
            "name two encoders in fusion.inputs (found 3: image, text, words)",
        ),
        (
            (FUSION, 'use = "inner_product"\ndim = 4'),
            ("[fusion]", f"{WORDS}\n\n[fusion]"),
            ('use = "classification"', 'use = "zero_shot"'),
        ),
        arguments=("validate", "spec.toml"),
    ),
    Case(
        "a sum of one modality alone, in a sweep",
        3,
        Says(
            "spec.toml:24:39: fusion.inputs",
            "sum joins two or more inputs",
            "1: image",
            "two or more encoders",
            "mmlab plugins list",
        ),
        (
            (FUSION, 'use = "sum"'),
            ("[head]", '[sweep.axes]\n"fusion.inputs" = [["image", "text"], ["image"]]\n\n[head]'),
        ),
        arguments=("validate", "spec.toml"),
    ),
    fusion(
        "a vector of shares for unequal widths",
        'use = "modulation"\nvector = true',
        Says(
            "spec.toml:22:10: fusion.vector",
            "one width",
            "widths 4, 32",
            "equal widths",
            "fusion.vector",
        ),
    ),
    fusion(
        "heads that do not divide the width",
        'use = "cross_attention"\ndim = 6',
        Says(
            "spec.toml:20:1: fusion.heads",
            "divide the width",
            "width 6, heads 4",
            "multiple",
            "fusion.heads",
        ),
    ),
    fusion(
        "the head identity on a vector that is no prediction",
        'use = "gating"',
        Says(
            "spec.toml:24:7: head.use",
            "changes no width",
            "width 256 for 3 outputs",
            "width 3",
            '"linear"',
        ),
        head='[head]\nuse = "identity"',
    ),
    spec(
        "every modality dropped",
        "modality_dropout = 1.0",
        Says("spec.toml:22:20: fusion.modality_dropout", "out of range", "1.0", "< 1", "within"),
    ),
    spec(
        "a budget of parameters and no match",
        "\n[sweep]\nbudget = 100\n",
        Says(
            "spec.toml:24:10: sweep.budget", "only matching has a budget", "100", "match", "match"
        ),
    ),
    spec(
        "a match without budget",
        '\n[sweep]\nmatch = "parameters"\n',
        Says("spec.toml:23:1: sweep.budget", "needs a budget", "none", "match", "add budget"),
    ),
    spec(
        "a width beside a budget",
        'dim = 4\n\n[sweep]\nmatch = "parameters"\nbudget = 100\n',
        Says("spec.toml:22:7: fusion.dim", "sweep.match sets this", "4", "no dim", "remove dim"),
    ),
]
