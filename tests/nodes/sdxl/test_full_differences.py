"""Files that hold whole differences, of weights, biases and norms, add just these."""

from pathlib import Path

import pytest
import torch

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import inspect_checkpoint
from nodes.sdxl.lora_file import inspect_lora
from nodes.sdxl.model import load_model
from nodes.sdxl.text import load_text_encoders
from nodes.values import Lora, TextEncoders
from tests.nodes.sdxl.adapters import CONVOLUTION, LORA, STRENGTHS, TO_Q, kohya, model, on, random, write
from tests.nodes.sdxl.loading import WEIGHTS
from tests.tiny import tiny

NORM = "down_blocks.0.resnets.0.norm1"


@pytest.mark.parametrize("strength", STRENGTHS)
def test_weights_biases_and_norms_change(strength: float, checkpoint: Path, tmp_path: Path) -> None:
    plain = tiny().model.unet.state_dict()
    parameters = {
        f"{TO_Q}.weight": f"{kohya(TO_Q)}.diff",
        f"{CONVOLUTION}.weight": "lora_unet_input_blocks_1_0_in_layers_2.diff",
        f"{CONVOLUTION}.bias": "diffusion_model.input_blocks.1.0.in_layers.2.diff_b",
        f"{NORM}.weight": "lora_unet_input_blocks_1_0_in_layers_0.w_norm",
        f"{NORM}.bias": "lora_unet_input_blocks_1_0_in_layers_0.b_norm",
    }
    differences = {name: random(*plain[name].shape, seed=seed) for seed, name in enumerate(parameters)}
    path = write(tmp_path / "style.safetensors", {parameters[name]: own for name, own in differences.items()})
    where = on(checkpoint, path)
    for name, changed in load_model(model(strength), where).unet.state_dict().items():
        torch.testing.assert_close(changed, plain[name] + strength * differences.get(name, torch.zeros(())))
    assert where.warnings == []


def test_a_bias_beside_a_lora_counts(checkpoint: Path, tmp_path: Path) -> None:
    down, up, bias = random(2, 16), random(16, 2), random(16)
    layer = "lora_te1_text_model_encoder_layers_0_self_attn_q_proj"
    tensors = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.diff_b": bias}
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors))
    live = load_text_encoders(TextEncoders(WEIGHTS, (Lora(LORA, 0.0, 2.0),)), where).text_encoder.state_dict()
    plain = tiny().text.text_encoder.state_dict()
    changes = {name: live[name] - plain[name] for name in plain if not torch.equal(live[name], plain[name])}
    assert {name.rpartition("q_proj.")[2] for name in changes} == {"weight", "bias"}
    for name, change in changes.items():
        torch.testing.assert_close(change, 2.0 * (bias if name.endswith("bias") else up @ down))


def test_a_bias_that_the_layer_does_not_have_is_told(checkpoint: Path, tmp_path: Path) -> None:
    tensors = {f"{kohya(TO_Q)}.diff": random(16, 16), f"{kohya(TO_Q)}.diff_b": random(16)}
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors))
    load_model(model(), where)
    assert where.warnings == ["style.safetensors: 1 of 2 layers do not exist in unet"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (f"{kohya(TO_Q)}.diff", (16, 8)),
        (f"{kohya(TO_Q)}.diff", (256,)),
        (f"{kohya(TO_Q)}.diff", ()),
        (f"{kohya(TO_Q)}.diff", (1, 16, 16)),
        (f"{kohya(CONVOLUTION)}.diff_b", (4,)),
        (f"{kohya(NORM)}.w_norm", (8, 8)),
    ],
)
def test_other_shapes_are_refused(name: str, shape: tuple[int, ...], checkpoint: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {name: torch.zeros(shape)})
    with pytest.raises(AssetRefused, match=rf"{name.rpartition('.')[0]}.* has the shapes diff .*which do not make"):
        load_model(model(), on(checkpoint, path))


@pytest.mark.parametrize("ends", [["diff", "lora_down.weight", "lora_up.weight"], ["diff", "alpha"]])
def test_differences_that_are_mixed_up_are_refused(ends: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {f"lora_unet_x.{end}": torch.zeros(1, 1) for end in ends})
    with pytest.raises(AssetRefused, match="mixes adapters: lora_unet_x holds"):
        inspect_lora(path)


@pytest.mark.parametrize("end", ["diff", "w_norm"])
def test_they_are_no_checkpoints(end: str, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {f"lora_unet_x.{end}": torch.zeros(1, 1)})
    with pytest.raises(AssetRefused, match="is a LoRA, not a checkpoint"):
        inspect_checkpoint(path)
