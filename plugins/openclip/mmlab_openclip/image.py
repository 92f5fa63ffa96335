"""The image tower: the model's own preprocessing on the host, its normalisation on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn

from mmlab.plugin import Calibration, DataError, Features, Placement, PluginError, explain
from mmlab_openclip.source import Recipe
from mmlab_openclip.stages import stages_of
from mmlab_openclip.temperature import Temperature


class ImageTower(nn.Module):
    """An open_clip model's image tower: uint8 pictures (B, 3, H, W) -> what `encode_image` gives.

    Pictures are resized and cropped by PIL exactly as the model's own preprocessing does (shortest
    side and centre crop for CLIP, squashed for SigLIP). Tokens are those of a transformer's
    patches, before the projection, and only computed where something reads them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        tower: nn.Module,
        recipe: Recipe,
        temperature: Temperature,
        reads_tokens: bool,
        crop: float = 1.0,
    ) -> None:
        super().__init__()
        self.tower = tower
        self.temperature = temperature
        self.dim: int = recipe.config["embed_dim"]
        self.token_dim = _token_width(tower) if reads_tokens else None
        self.weights_description = recipe.description
        if hasattr(tower, "output_tokens"):
            cast(Any, tower).output_tokens = reads_tokens
        self._settings = settings = _settings(tower, recipe)
        self._read = _resize(settings, 1.0)
        self._read_in_training = _resize(settings, crop)
        self.augments = crop < 1
        self.preprocessing = _describe(settings, is_random=recipe.weights is None)
        for name in ("mean", "std"):
            value = torch.tensor(getattr(settings, name)).reshape(3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def transform(self, raw: object, train: bool) -> Tensor:
        """RGB picture -> uint8 (3, H, W) of the model's size."""
        if not isinstance(raw, Image.Image):
            raise DataError(_no_picture(raw))
        read = self._read_in_training if train else self._read
        return read(raw)

    def placement(self, width: int, height: int) -> Placement:
        """Where evaluation puts a picture of this size."""
        return _placement(self._settings, width, height)

    def forward(self, x: Tensor) -> Features:
        """Normalise uint8 pictures (B, 3, H, W) as the model was trained, and encode them."""
        pixels = x.to(self.mean.dtype).div(255).sub_(self.mean).div_(self.std)
        if self.token_dim is None:
            encoded = self.tower(pixels)
            return Features.of(encoded[0] if isinstance(encoded, tuple) else encoded)
        pooled, tokens = _with_tokens(self.tower, pixels)
        return Features.of(pooled, tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool))

    @property
    def patch_grid(self) -> tuple[int, int] | None:
        """Rows and columns of patches of a vision transformer; None of any other tower."""
        return _grid(self.tower)

    def patches(self, x: Tensor) -> Tensor:
        """Each patch as if it was the picture, (B, rows, columns, dim): projected by itself.

        For CLIP the last norm and projection of the class token, for SigLIP the pooling of a single
        token. Source: MaskCLIP (Zhou et al., arXiv:2112.01071), but here the last block's attention
        is left as it is.
        """
        grid = self.patch_grid
        assert grid is not None, "asked of a tower without patches"
        pixels = x.to(self.mean.dtype).div(255).sub_(self.mean).div_(self.std)
        flat = _projected_patches(self.tower, pixels)
        return flat.reshape(len(x), *grid, flat.shape[-1])

    def calibration(self) -> Calibration:
        """The model's own scale and bias; meaningless for random weights or after training."""
        return self.temperature.calibration()

    def stages(self) -> Sequence[nn.Module]:
        """Modules from input to output."""
        return stages_of(self.tower)


def _settings(tower: nn.Module, recipe: Recipe) -> Any:  # Any: open_clip's PreprocessCfg
    """The preprocessing that the weights were trained with, at the tower's own picture size."""
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    size = cast(Any, tower).image_size
    own = {"size": size if isinstance(size, int) else tuple(size)}  # of JSON it is a list
    return PreprocessCfg(**(merge_preprocess_dict(PreprocessCfg(), dict(recipe.preprocess)) | own))


def _resize(settings: Any, crop: float) -> Callable[[Image.Image], Tensor]:
    """open_clip's own transform, with uint8 instead of its last two steps, float and normalised."""
    from open_clip.transform import AugmentationCfg, MaybeToTensor, image_transform_v2
    from torchvision.transforms import Compose, PILToTensor

    augmentation = AugmentationCfg(scale=(crop, 1.0))
    steps = image_transform_v2(settings, is_train=crop < 1, aug_cfg=augmentation).transforms
    assert isinstance(steps[-2], MaybeToTensor), "open_clip's transform has another order"
    return cast(Callable[[Image.Image], Tensor], Compose([*steps[:-2], PILToTensor()]))


def _placement(settings: Any, width: int, height: int) -> Placement:
    """What open_clip's transform does for each of its three ways to resize."""
    rows, columns = settings.input_size[1:]
    whole = Placement.of(width, height)
    if settings.resize_mode == "squash":
        return whole.resized(columns, rows)
    if settings.resize_mode == "shortest" and rows == columns:
        return whole.shorter_side(rows).centred(columns, rows)
    ratios = (height / rows, width / columns)
    ratio = max(ratios) if settings.resize_mode == "longest" else min(ratios)
    return whole.resized(round(width / ratio), round(height / ratio)).centred(columns, rows)


def _describe(settings: Any, *, is_random: bool) -> str:
    height, width = settings.input_size[1:]
    mean, std = (",".join(f"{x:g}" for x in value) for value in (settings.mean, settings.std))
    text = (
        f"open_clip {settings.resize_mode} {settings.interpolation} {width}x{height} "
        f"mean {mean} std {std}, pillow {version('pillow')}"
    )
    return f"RANDOM WEIGHTS, {text}" if is_random else text


def _token_width(tower: nn.Module) -> int:
    """Width of a transformer's patch tokens. Raises PluginError for towers without any."""
    own = cast(Any, tower)  # Any: open_clip's and timm's modules declare no types
    if hasattr(own, "output_tokens"):
        return int(own.ln_post.normalized_shape[0])
    trunk = getattr(own, "trunk", None)
    if trunk is not None and hasattr(trunk, "num_prefix_tokens"):
        return int(trunk.embed_dim)
    raise PluginError(
        explain(
            "open_clip",
            "this image tower gives no tokens, and the fusion or a loss reads them",
            found=type(trunk if trunk is not None else tower).__name__,
            allowed="a vision transformer",
            next_step="choose a ViT architecture, or a fusion and losses that read pooled features",
        )
    )


def _with_tokens(tower: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled (B, dim) and patch tokens (B, N, token_dim)."""
    own = cast(Any, tower)  # Any: as above
    if hasattr(own, "output_tokens"):
        return cast(tuple[Tensor, Tensor], own(pixels))
    patches = own.trunk.forward_features(pixels)
    pooled = own.head(own.trunk.forward_head(patches))
    return pooled, patches[:, own.trunk.num_prefix_tokens :]


def _grid(tower: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of patches of towers whose tokens can be projected one by one."""
    own = cast(Any, tower)  # Any: as above
    trunk = getattr(own, "trunk", None)
    if trunk is None:
        is_plain = hasattr(own, "output_tokens") and own.attn_pool is None
        return _pair(own.grid_size) if is_plain else None
    embedding = getattr(trunk, "patch_embed", None)
    has_tokens = hasattr(trunk, "num_prefix_tokens") and hasattr(trunk, "fc_norm")
    return _pair(embedding.grid_size) if has_tokens and embedding is not None else None


def _pair(sizes: Sequence[int]) -> tuple[int, int]:
    rows, columns = sizes
    return int(rows), int(columns)


def _projected_patches(tower: nn.Module, pixels: Tensor) -> Tensor:
    """(B, N, dim): what the tower would make of each patch's token if it stood alone."""
    own = cast(Any, tower)  # Any: as above
    trunk = getattr(own, "trunk", None)
    if trunk is None:
        # What `_pool` does to the tokens, and `forward` to the pooled one.
        tokens = own.ln_post(own.transformer(own._embeds(pixels)))[:, 1:]
        return cast(Tensor, tokens if own.proj is None else tokens @ own.proj)
    tokens = trunk.forward_features(pixels)[:, trunk.num_prefix_tokens :]
    size, count = tokens.shape[:2]
    alone = tokens.flatten(0, 1)  # (B * N, width)
    if trunk.attn_pool is not None:
        alone = trunk.attn_pool(alone[:, None])
    projected = own.head(trunk.head(trunk.fc_norm(alone)))
    return cast(Tensor, projected.unflatten(0, (size, count)))


def _no_picture(raw: object) -> str:
    return explain(
        "open_clip",
        "a sample's image cannot be encoded",
        found=f"a value of type {type(raw).__name__}",
        allowed="an RGB PIL.Image.Image",
        next_step="let the dataset give pictures under this modality, or choose another encoder",
    )
