"""Side by side with open_clip on the same weights: the classifier and the scores."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from mmlab_openclip.encoder import open_clip as make
from PIL import Image
from torch.nn.functional import normalize
from torchvision.transforms.functional import to_pil_image

LABELS = ["guacamole", "ceviche", "edamame", "tuna tartare", "hummus"]
TEMPLATES = ["a photo of {}, a type of food.", "a bad photo of a {}."]


def pictures() -> list[Image.Image]:
    pixels = torch.randint(0, 256, (4, 3, 45, 60), generator=torch.Generator().manual_seed(1))
    return [to_pil_image(one.byte()) for one in pixels]


def our_classifier(encoder: Any) -> torch.Tensor:
    prompts = [template.format(label) for label in LABELS for template in TEMPLATES]
    x = torch.stack([encoder.transform(prompt, False) for prompt in prompts])
    x = x[:, : int((x != encoder.vocabulary.pad).sum(1).max())]
    pooled = normalize(encoder(x).pooled, dim=-1).unflatten(0, (len(LABELS), len(TEMPLATES)))
    return normalize(pooled.mean(1), dim=-1)


def test_the_zero_shot_classifier_and_the_scores_are_open_clips(clip: str, context: Any) -> None:
    image = make("image", context, architecture=clip).eval()
    text = make("text", context, architecture=clip).eval()
    model, _, preprocess = open_clip.create_model_and_transforms(clip)
    model.eval()
    tokenizer = open_clip.get_tokenizer(clip)

    with torch.no_grad():
        ours = our_classifier(text)
        x = torch.stack([image.transform(one, False) for one in pictures()])
        scores = image.calibration().scale * normalize(image(x).pooled, dim=-1) @ ours.T
        theirs = open_clip.build_zero_shot_classifier(model, tokenizer, LABELS, TEMPLATES).T
        seen = model.encode_image(torch.stack([preprocess(one) for one in pictures()]), True)
        expected = model.logit_scale.exp() * seen @ theirs.T

    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    # Cosines agree to 1e-6 as well; the model's own scale of 14 multiplies what is left.
    torch.testing.assert_close(scores, expected, atol=1.5e-5, rtol=0)


@pytest.mark.slow
def test_a_real_architecture_encodes_as_open_clips_own_from_one_seed(context: Any) -> None:
    architecture = "RN50"
    torch.manual_seed(3)
    image = make("image", context, architecture=architecture, pretrained="").eval()
    torch.manual_seed(3)
    text = make("text", context, architecture=architecture, pretrained="").eval()
    torch.manual_seed(3)
    model, _, preprocess = open_clip.create_model_and_transforms(architecture)
    model.eval()

    with torch.no_grad():
        seen = image(image.transform(pictures()[0], False)[None]).pooled
        expected = model.encode_image(preprocess(pictures()[0])[None])
        said = text(text.transform("a photo of hummus.", False)[None]).pooled
        wanted = model.encode_text(open_clip.get_tokenizer(architecture)("a photo of hummus."))

    # Directions: unnormalised features are of another size than 1.
    for ours, theirs in ((seen, expected), (said, wanted)):
        torch.testing.assert_close(
            normalize(ours, dim=-1), normalize(theirs, dim=-1), atol=1e-6, rtol=0
        )
