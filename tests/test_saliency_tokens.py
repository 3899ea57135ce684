"""Grad-CAM of tokens: by hand for a vision transformer and for Swin, and refused where
the last convolution lies before blocks of an unknown kind.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models import architectures
from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.models.layers import convolutions
from mlcv_explore.saliency import SaliencyError, SaliencySettings, captum_maps, methods, tokens
from mlcv_explore.saliency.supported import Refused, attribute, attribute_each
from mlcv_explore.seeds import seeded

SETTINGS = SaliencySettings(cam_positive=False)
VIT = ("timm/vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3})
SWIN = (
    "timm/swin_tiny_patch4_window7_224",
    {
        "img_size": 32,
        "patch_size": 2,
        "window_size": 4,
        "embed_dim": 8,
        "depths": [1, 2],
        "num_heads": [2, 2],
    },
)
MIXER = ("mixer", {"img_size": 32, "patch_size": 8, "embed_dim": 16, "num_blocks": 2, "num_classes": 4})
SIZE = (32, 32)
IMAGE = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))


def network(architecture: str, arguments: dict) -> nn.Sequential:
    """An untrained network with weights large enough that its maps are no rounding."""
    if architecture == "mixer":  # no registered one is small
        from mlcv_explore import torchvision_compat  # noqa: F401  timm imports torchvision

        # isort: split
        import timm.models.mlp_mixer as mixers

        return seeded(0, lambda: _grown(mixers.MlpMixer(**arguments))).eval().requires_grad_(False)
    card = {"architecture": architecture, "arguments": arguments}
    card["input"] = {"mean": [0.5] * 3, "std": [0.25] * 3}
    model = seeded(0, lambda: _grown(architectures.create(card, 4, "a test")))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def _grown(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return model


def cam(values: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Grad-CAM of features (channels, rows, columns), by its formula, at the image's size."""
    coarse = torch.einsum("c,chw->hw", gradient.mean((1, 2)), values)
    return functional.interpolate(coarse[None, None], (32, 32), mode="bilinear", align_corners=False)[0, 0]


def grad_cam(model: nn.Module, layer: str | None = None) -> np.ndarray:
    (made,) = attribute(model, IMAGE, 1, ["gradcam"], SETTINGS, 0, layer)
    return made.values


def test_a_vision_transformer_is_read_at_the_input_of_its_last_attention() -> None:
    """Behind it the class token alone reaches the classifier."""
    model = network(*VIT)
    vit = model[1]
    with torch.no_grad():
        given = vit._pos_embed(vit.patch_embed(model[0](IMAGE[None])))
        given = vit.blocks[1](vit.blocks[0](given))
    last = vit.blocks[2]
    read = last.norm1(given).detach().requires_grad_()
    attended = given + last.attn(read)
    output = attended + last.mlp(last.norm2(attended))
    logit = vit.head(vit.norm(output)[:, 0])[0, 1]
    (gradient,) = torch.autograd.grad(logit, read)
    # row by row, 4 × 4 patches; the class token is first
    placed = [values[0, 1:].reshape(4, 4, 24).permute(2, 0, 1) for values in (read.detach(), gradient)]
    wanted = cam(*placed).numpy()
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(grad_cam(model), wanted, rtol=1e-4, atol=1e-6)


def test_swin_is_read_at_the_output_of_its_last_block() -> None:
    model = network(*SWIN)
    swin = model[1]
    with torch.no_grad():
        given = swin.layers(swin.patch_embed(model[0](IMAGE[None])))
    read = given.detach().requires_grad_()
    assert read.shape == (1, 8, 8, 16)
    (gradient,) = torch.autograd.grad(swin.head(swin.norm(read))[0, 1], read)
    placed = [values[0].permute(2, 0, 1) for values in (given, gradient)]
    wanted = cam(*placed).numpy()
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(grad_cam(model), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("built", [VIT, SWIN, MIXER])
def test_the_patch_embedding_is_read_only_where_it_is_named(built: tuple[str, dict]) -> None:
    model = network(*built)
    (patches,) = convolutions(model)
    default = grad_cam(model)
    assert np.array_equal(grad_cam(model, tokens.cam_layers(model)[-1]), default)
    embedded = methods.grad_cam(model, IMAGE, 1, SETTINGS, patches).values.numpy()
    np.testing.assert_allclose(grad_cam(model, patches), embedded, rtol=1e-5, atol=1e-7)
    assert not np.allclose(default, embedded) and default.any()
    assert not np.allclose(grad_cam(model, next(iter(tokens.blocks(model)))), default)


def test_torchvisions_transformers_are_read_as_timms() -> None:
    from mlcv_explore.torchvision_compat import models

    shape = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32, "num_classes": 4}
    vit = seeded(0, lambda: _grown(models.VisionTransformer(32, 8, **shape))).eval().requires_grad_(False)
    assert tokens.default_layer(vit, SIZE) == "encoder.layers.encoder_layer_1"
    swin = models.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [4, 4], num_classes=4)
    swin = seeded(0, lambda: _grown(swin)).eval().requires_grad_(False)
    assert tokens.default_layer(swin, SIZE) == "features.3.0"
    for model in (vit, swin):
        assert grad_cam(model).shape == (32, 32) and grad_cam(model).any()


def test_a_map_is_of_its_class_and_never_negative_by_default() -> None:
    model, both = network(*VIT), SaliencySettings()
    maps = [next(attribute(model, IMAGE, target, ["gradcam"], both, 0)) for target in (1, 2, (1, 2))]
    assert all(made.values.min() >= 0 and not made.signed for made in maps)
    assert not np.allclose(maps[0].values, maps[1].values)
    signed = [next(attribute(model, IMAGE, target, ["gradcam"], SETTINGS, 0)) for target in (1, 2, (1, 2))]
    assert signed[0].signed and signed[0].values.min() < 0
    difference = signed[0].values - signed[1].values  # linear in the logit
    np.testing.assert_allclose(signed[2].values, difference, rtol=1e-3, atol=1e-5)


def test_the_shared_network_is_left_as_it_was() -> None:
    model = network(*VIT)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copied = tokens.with_shared_weights(model)
    assert all(ours is theirs for ours, theirs in zip(model.parameters(), copied.parameters(), strict=True))
    grad_cam(model)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.is_grad_enabled() and not any(parameter.requires_grad for parameter in model.parameters())


def test_a_network_of_convolutions_is_read_where_it_was() -> None:
    statistics = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
    model = seeded(0, lambda: residual_classifier(4, 4, *statistics)).eval().requires_grad_(False)
    assert tokens.blocks(model) == {} and tokens.cam_layers(model) == list(convolutions(model))
    assert tokens.default_layer(model, SIZE) == list(convolutions(model))[-1]
    before = methods.grad_cam(model, IMAGE, 1, SETTINGS).values.numpy()
    assert np.array_equal(grad_cam(model), before)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish])
def test_a_convolution_that_classifies_is_not_read_nor_what_changes_in_place(activation: type) -> None:
    """The last convolution has one place; the one before is followed by an activation in
    place, with and without which the map is the same.
    """

    def built(inplace: bool) -> nn.Sequential:
        return seeded(
            0,
            lambda: nn.Sequential(
                *(nn.Conv2d(3, 8, 3, padding=1), activation(inplace), nn.AdaptiveAvgPool2d(1)),
                *(nn.Conv2d(8, 4, 1), nn.Flatten()),
            ),
        ).eval()

    model = built(True)
    assert tokens.cam_layers(model) == ["0", "3"] and tokens.default_layer(model, SIZE) == "0"
    wanted = methods.grad_cam(built(False), IMAGE, 1, SETTINGS, "0").values.numpy()
    assert wanted.any() and np.array_equal(grad_cam(model), wanted)
    assert model[1].inplace


class Unknown(nn.Module):
    """Patches, and blocks with names that no library has."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.mixing = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.classes = nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 4)."""
        features = self.patches(images).flatten(2).transpose(1, 2)
        for layer in self.mixing:
            features = features + layer(features).tanh()
        return self.classes(features.mean(1))


def test_blocks_of_an_unknown_kind_are_refused_unless_the_layer_is_named() -> None:
    model = seeded(0, Unknown).eval()
    found = {
        made.method: made for made in attribute_each(model, IMAGE, 1, ["gradcam", "gradient"], SETTINGS, 0)
    }
    assert isinstance(found["gradcam"], Refused) and found["gradient"].values.any()
    assert "that is patches, before the blocks" in found["gradcam"].reason
    assert tokens.default_layer(model, SIZE) is None and grad_cam(model, "patches").any()


def test_layers_that_do_not_exist_and_captum_on_tokens_are_refused_in_a_sentence() -> None:
    model = network(*VIT)
    with pytest.raises(
        SaliencyError, match=r"can read in this network \(1.patch_embed.proj, 1.blocks.0, .*'b'"
    ):
        grad_cam(model, "b")
    for layer in (None, "1.blocks.1"):
        (theirs,) = attribute_each(model, IMAGE, 1, ["captum:gradcam"], SETTINGS, 0, layer)
        assert isinstance(theirs, Refused) and "has tokens" in theirs.reason


@pytest.mark.parametrize(
    ("count", "size", "shape"),
    [(196, (224, 224), (14, 14)), (197, (224, 224), (14, 14)), (201, (224, 224), (14, 14)),
     (32, (64, 128), (4, 8)), (34, (64, 128), (4, 8)), (1, (32, 32), None)],
)  # fmt: skip
def test_the_grid_has_the_images_proportions(
    count: int, size: tuple[int, int], shape: tuple[int, int] | None
) -> None:
    assert tokens.grid_shape(count, nn.Identity(), torch.zeros(3, *size)) == shape


def test_tokens_before_the_patches_are_counted_where_the_network_states_them() -> None:
    """Five of nine tokens have no place, though nine would be a square."""
    arguments = VIT[1] | {"patch_size": 16, "reg_tokens": 4, "depth": 1}
    model = network(VIT[0], arguments)
    assert tokens.tokens_without_place(model) == 5
    assert tokens.grid_shape(9, model, IMAGE) == (2, 2)
    values = torch.arange(9.0).view(1, 9, 1)
    assert torch.equal(tokens.grid(values, model, IMAGE), torch.tensor([[[5.0, 6], [7, 8]]]))


def test_deeplift_is_refused_where_there_is_attention_and_the_others_go_on() -> None:
    names = ["deeplift", "gradient", "rise"]
    for built, refused in ((VIT, True), (SWIN, True), (MIXER, False)):
        found = {made.method: made for made in attribute_each(network(*built), IMAGE, 1, names, SETTINGS, 0)}
        assert isinstance(found["deeplift"], Refused) == refused
        assert found["gradient"].values.any() and found["rise"].values.any()
        if refused:
            assert found["deeplift"].reason.startswith("DeepLift has no rule for attention")


def test_captums_own_methods_state_what_they_need_of_a_transformer() -> None:
    names = [f"captum:{name}" for name in ("layer_conductance", "internal_influence", "lrp", "kernel_shap")]
    settings = captum_maps.CaptumSettings(coalitions=10, superpixels=4)
    found = {one.method: one for one in attribute_each(network(*VIT), IMAGE, 1, names, settings, 0)}
    reasons = [found[name].reason for name in names[:3]]
    assert "averages over the places of a convolution, and 1.blocks.2 has tokens." in reasons[0]
    assert reasons[1].startswith("Internal influence (Captum) averages")
    assert reasons[2].startswith("LRP (Captum) has no rule for ") and "attention" in reasons[2]
    assert found[names[3]].values.any()


class OneAtATime(nn.Module):
    """A network that takes one image, and no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(1, 3, h, w) → (1, 4)."""
        assert len(images) == 1, "one image at a time.\nAnd no more."
        return self.convolution(images).mean((2, 3))


def test_what_a_network_raises_is_the_reason_of_that_method_alone() -> None:
    model = seeded(0, OneAtATime).eval()
    names = ["gradient", "smoothgrad", "gradcam"]
    found = {made.method: made for made in attribute_each(model, IMAGE, 1, names, SETTINGS, 0)}
    assert found["smoothgrad"] == Refused(
        "smoothgrad", "SmoothGrad fails for this network: one image at a time."
    )
    assert found["gradient"].values.any() and found["gradcam"].values.any()
