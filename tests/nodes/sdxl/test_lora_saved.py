"""LoRAs that peft trained and diffusers saved act as they do there, on every part of the model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.utils.warning import PeftWarning
from safetensors.torch import load_file

from engine.errors import AssetRefused
from nodes.sdxl.lora_file import inspect_lora
from nodes.sdxl.model import load_model
from nodes.sdxl.text import load_text_encoders
from nodes.values import Lora, Model, TextEncoders, Weights
from tests.nodes.sdxl.loading import WEIGHTS, FileLoading, loading
from tests.tiny import Tiny, tiny
from tools.single_file import write_safetensors

LORA = Weights("1" * 64, "style.safetensors")
UNET_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "conv1"]
TEXT_TARGETS = ["q_proj", "k_proj", "out_proj", "fc1"]
Names = tuple[dict[str, object], dict[str, object]]
"""What is set by layer: of the UNet, and of both text encoders."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(names: Names | None = None, **settings: object) -> Tiny:
    """Return a model with an adapter on each of its parts, as if trained; `names` are settings by layer."""
    of_unet, of_text = names or ({}, {})
    parts = tiny()
    torch.manual_seed(1)
    for module, targets, own in (
        (parts.model.unet, UNET_TARGETS, of_unet),
        (parts.text.text_encoder, TEXT_TARGETS, of_text),
        (parts.text.text_encoder_2, TEXT_TARGETS, of_text),
    ):
        module.add_adapter(LoraConfig(target_modules=targets, init_lora_weights=False, **settings, **own))
    return parts


def saved(parts: Tiny, folder: Path, *, settings: bool = True) -> Path:
    """Write the adapters the way the training scripts of diffusers do."""
    modules = {
        "unet": parts.model.unet,
        "text_encoder": parts.text.text_encoder,
        "text_encoder_2": parts.text.text_encoder_2,
    }
    layers = {
        f"{name}_lora_layers": convert_state_dict_to_diffusers(get_peft_model_state_dict(module))
        for name, module in modules.items()
    }
    told = _collate_lora_metadata(modules) if settings else {}
    StableDiffusionXLPipeline.save_lora_weights(str(folder), weight_name=LORA.name, **layers, **told)
    return folder / LORA.name


def merged(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Give each adapted layer's name and the weight that peft makes of it."""
    for name, layer in module.named_modules():
        if isinstance(layer, LoraLayer):
            yield f"{name}.weight", layer.base_layer.weight + layer.get_delta_weight("default")


def assert_same(parts: Tiny, where: FileLoading) -> None:
    lora = (Lora(LORA, 1.0, 1.0),)
    live = load_text_encoders(TextEncoders(WEIGHTS, lora), where)
    for ours, theirs in (
        (load_model(Model(WEIGHTS, (128, 128), loras=lora), where).unet, parts.model.unet),
        (live.text_encoder, parts.text.text_encoder),
        (live.text_encoder_2, parts.text.text_encoder_2),
    ):
        weights = ours.state_dict()
        layers = dict(merged(theirs))
        assert layers
        for name, weight in layers.items():
            torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-5)
    assert where.warnings == []


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (None, {"lora_alpha": 4}),
        (None, {"lora_alpha": 2}),
        (None, {"lora_alpha": 8, "use_rslora": True}),
        (
            ({"alpha_pattern": {"to_k": 3}}, {"alpha_pattern": {"k_proj": 5, "layers.1.mlp.fc1": 1}}),
            {"lora_alpha": 8},
        ),
        (({"rank_pattern": {"to_k": 2}}, {"rank_pattern": {"fc1": 3}}), {"lora_alpha": 8}),
        (
            ({"rank_pattern": {"to_k": 2}, "alpha_pattern": {"^mid_block.resnets.0.conv1": 3, "conv1": 7}}, {}),
            {"use_rslora": True},
        ),
    ],
    ids=["plain", "alpha", "rank-stabilised", "alpha by layer", "rank by layer", "all of it"],
)
def test_every_part_and_setting_counts(
    names: Names | None, settings: dict[str, object], checkpoint: Path, tmp_path: Path
) -> None:
    parts = trained(names, r=4, **settings)
    where = loading(checkpoint)
    where.files[LORA.sha256] = saved(parts, tmp_path)
    assert_same(parts, where)


OLD_NAMES = (
    ("attn1.to_q.lora.", "attn1.processor.to_q_lora."),
    ("attn1.to_out.0.lora.", "attn1.processor.to_out_lora."),
    ("self_attn.q_proj.lora_linear_layer.", "self_attn.to_q_lora."),
    ("self_attn.out_proj.lora_linear_layer.", "self_attn.to_out_lora."),
)
"""How diffusers named layers before it used peft; see DIFFUSERS_OLD_TO_PEFT and UNET_TO_DIFFUSERS there."""


def test_names_from_before_peft_are_known(checkpoint: Path, tmp_path: Path) -> None:
    parts = trained(r=4, lora_alpha=4)
    path = saved(parts, tmp_path, settings=False)
    tensors = load_file(path)
    for new, old in OLD_NAMES:
        assert any(new in name for name in tensors)
        tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    write_safetensors(path, tensors, {})
    where = loading(checkpoint)
    where.files[LORA.sha256] = path
    assert_same(parts, where)


def test_a_bias_is_not_left_out_in_silence(tmp_path: Path) -> None:
    parts = tiny()
    parts.model.unet.add_adapter(LoraConfig(r=2, target_modules=["to_out.0"], lora_bias=True))
    with pytest.warns(PeftWarning, match="invalid shape"):
        layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(parts.model.unet))
    StableDiffusionXLPipeline.save_lora_weights(str(tmp_path), unet_lora_layers=layers, weight_name=LORA.name)
    with pytest.raises(AssetRefused, match=r"use is not known: unet\..*, .*, .* and \d+ more"):
        inspect_lora(tmp_path / LORA.name)


def test_a_pattern_that_is_no_name_is_refused(tmp_path: Path) -> None:
    path = saved(trained(({"alpha_pattern": {r".*[kq]": 3}}, {}), r=2), tmp_path)
    with pytest.raises(AssetRefused, match="by a pattern that is no plain name"):
        inspect_lora(path)
