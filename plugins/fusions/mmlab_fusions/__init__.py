"""Fusions, one module per row of the table of operators. This module holds the hook alone."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    """Names used in TOML -> where the fusions are."""
    return {
        "attention": "mmlab_fusions.attention:Attention",
        "bilinear": "mmlab_fusions.bilinear:Bilinear",
        "bilinear_gated": "mmlab_fusions.bilinear_gated:BilinearGated",
        "bottleneck": "mmlab_fusions.bottleneck:Bottleneck",
        "compact_bilinear": "mmlab_fusions.compact_bilinear:CompactBilinear",
        "concat": "mmlab_fusions.concat:Concat",
        "directional_projections": "mmlab_fusions.directional_projections:DirectionalProjections",
        "cross_attention": "mmlab_fusions.cross_attention:CrossAttention",
        "film": "mmlab_fusions.film:FiLM",
        "gating": "mmlab_fusions.gating:Gating",
        "gmu": "mmlab_fusions.gmu:GMU",
        "inner_product": "mmlab_fusions.inner_product:InnerProduct",
        "late_fusion": "mmlab_fusions.late_fusion:LateFusion",
        "late_interaction": "mmlab_fusions.late_interaction:LateInteraction",
        "low_rank_bilinear": "mmlab_fusions.low_rank_bilinear:LowRankBilinear",
        "low_rank_tensor_fusion": "mmlab_fusions.low_rank_tensor_fusion:LowRankTensorFusion",
        "max": "mmlab_fusions.max:Max",
        "mfb": "mmlab_fusions.mfb:MFB",
        "modulation": "mmlab_fusions.modulation:Modulation",
        "multiplicative": "mmlab_fusions.multiplicative:Multiplicative",
        "multiplicative_interactions": (
            "mmlab_fusions.multiplicative_interactions:MultiplicativeInteractions"
        ),
        "mutan": "mmlab_fusions.mutan:Mutan",
        "sum": "mmlab_fusions.sum:Sum",
        "tanh_gating": "mmlab_fusions.tanh_gating:TanhGating",
        "tensor_fusion": "mmlab_fusions.tensor_fusion:TensorFusion",
    }
