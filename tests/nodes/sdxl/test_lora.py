"""LoRAs are added to the weights they name, whoever named them, and never pass in silence where they fit nothing."""

import json
from pathlib import Path

import pytest
import torch

from engine.assets import Asset, Found
from engine.errors import AssetRefused
from engine.testing import QuietContext
from nodes.lora import LoRA
from nodes.sdxl.lora_file import inspect_lora
from nodes.sdxl.model import load_model
from nodes.sdxl.text import load_text_encoders
from nodes.values import Lora, Model, TextEncoders
from tests.nodes.sdxl.adapters import CONVOLUTION, LORA, SIZE, TO_Q, model, on, random, write
from tests.nodes.sdxl.loading import WEIGHTS
from tests.tiny import tiny

Q_PROJ = "encoder.layers.0.self_attn.q_proj"

UNET_NAMES = {
    "kohya": (
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_input_blocks_1_0_in_layers_2",
        ("lora_down.weight", "lora_up.weight"),
    ),
    "kohya, diffusers' blocks": (
        f"lora_unet_{TO_Q.replace('.', '_')}",
        f"lora_unet_{CONVOLUTION.replace('.', '_')}",
        ("lora_down.weight", "lora_up.weight"),
    ),
    "peft": (f"unet.{TO_Q}", f"unet.{CONVOLUTION}", ("lora_A.weight", "lora_B.weight")),
    "diffusers": (f"unet.{TO_Q}", f"unet.{CONVOLUTION}", ("lora.down.weight", "lora.up.weight")),
    "comfy": (
        "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q",
        "diffusion_model.input_blocks.1.0.in_layers.2",
        ("lora_down.weight", "lora_up.weight"),
    ),
}


@pytest.mark.parametrize("naming", UNET_NAMES)
def test_each_naming_reaches_the_same_weights(naming: str, checkpoint: Path, tmp_path: Path) -> None:
    linear, convolution, (down, up) = UNET_NAMES[naming]
    tensors = {
        f"{linear}.{down}": random(2, 16),
        f"{linear}.{up}": random(16, 2),
        f"{linear}.alpha": torch.tensor(1.0),
        f"{convolution}.{down}": random(2, 8, 3, 3),
        f"{convolution}.{up}": random(8, 2, 1, 1),
    }
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors))
    loaded, plain = load_model(model(0.5), where).unet.state_dict(), tiny().model.unet.state_dict()
    changed = {name for name, tensor in loaded.items() if not torch.equal(tensor, plain[name])}
    assert changed == {f"{TO_Q}.weight", f"{CONVOLUTION}.weight"}
    expected = plain[f"{TO_Q}.weight"] + 0.5 * 1.0 / 2 * random(16, 2) @ random(2, 16)
    torch.testing.assert_close(loaded[f"{TO_Q}.weight"], expected)
    kernel = torch.einsum("or,rikl->oikl", random(8, 2, 1, 1).flatten(1), random(2, 8, 3, 3))
    torch.testing.assert_close(loaded[f"{CONVOLUTION}.weight"], plain[f"{CONVOLUTION}.weight"] + 0.5 * kernel)
    assert where.warnings == []


@pytest.mark.parametrize(
    "naming",
    [
        (
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
            "lora_te2_text_model_encoder_layers_0_self_attn_q_proj",
        ),
        (f"text_encoder.text_model.{Q_PROJ}", f"text_encoder_2.text_model.{Q_PROJ}"),
        (f"text_encoder.{Q_PROJ}", f"text_encoder_2.{Q_PROJ}"),
        (
            f"text_encoders.clip_l.transformer.text_model.{Q_PROJ}",
            f"text_encoders.clip_g.transformer.text_model.{Q_PROJ}",
        ),
    ],
)
def test_text_encoders_are_reached_too(naming: tuple[str, str], checkpoint: Path, tmp_path: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, width in zip(naming, (16, 32), strict=True):
        tensors |= {f"{name}.lora_down.weight": random(2, width), f"{name}.lora_up.weight": random(width, 2)}
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors))
    live, plain = load_text_encoders(TextEncoders(WEIGHTS, (Lora(LORA, 0.0, 2.0),)), where), tiny().text
    for loaded, before, width in (
        (live.text_encoder, plain.text_encoder, 16),
        (live.text_encoder_2, plain.text_encoder_2, 32),
    ):
        own, other = loaded.state_dict(), before.state_dict()
        (changed,) = [name for name in own if not torch.equal(own[name], other[name])]
        assert changed.endswith(f"{Q_PROJ}.weight")
        torch.testing.assert_close(own[changed], other[changed] + 2.0 * random(width, 2) @ random(2, width))


def test_weights_equal_what_diffusers_fuses(checkpoint: Path, tmp_path: Path) -> None:
    linear, convolution, (down, up) = UNET_NAMES["kohya"]
    tensors = {
        f"{linear}.{down}": random(4, 16),
        f"{linear}.{up}": random(16, 4),
        f"{linear}.alpha": torch.tensor(2.0),
        f"{convolution}.{down}": random(4, 8, 3, 3),
        f"{convolution}.{up}": random(8, 4, 1, 1),
        f"{convolution}.alpha": torch.tensor(2.0),
    }
    path = write(tmp_path / "style.safetensors", tensors)
    pipe = tiny().pipeline()
    pipe.load_lora_weights(str(tmp_path), weight_name=path.name, local_files_only=True)
    pipe.fuse_lora(components=["unet"], lora_scale=0.7)
    pipe.unload_lora_weights()
    theirs = pipe.unet.state_dict()
    for name, tensor in load_model(model(0.7), on(checkpoint, path)).unet.state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=1e-5)


def test_several_add_up(checkpoint: Path, tmp_path: Path) -> None:
    linear, _, (down, up) = UNET_NAMES["peft"]
    path = write(tmp_path / "style.safetensors", {f"{linear}.{down}": random(2, 16), f"{linear}.{up}": random(16, 2)})
    where = on(checkpoint, path)
    twice = Model(WEIGHTS, SIZE, loras=(Lora(LORA, 0.25, 1.0), Lora(LORA, 0.5, 1.0)))
    once = load_model(model(0.75), where).unet.state_dict()
    for name, tensor in load_model(twice, where).unet.state_dict().items():
        torch.testing.assert_close(tensor, once[name])


def test_the_alpha_that_diffusers_writes_counts(checkpoint: Path, tmp_path: Path) -> None:
    linear, _, (down, up) = UNET_NAMES["peft"]
    tensors = {f"{linear}.{down}": random(2, 16), f"{linear}.{up}": random(16, 2)}
    metadata = {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.lora_alpha": 8})}
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors, metadata))
    plain = tiny().model.unet.state_dict()[f"{TO_Q}.weight"]
    expected = plain + 8 / 2 * random(16, 2) @ random(2, 16)
    torch.testing.assert_close(load_model(model(), where).unet.state_dict()[f"{TO_Q}.weight"], expected)


def test_a_lora_for_other_layers_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    tensors = {"lora_unet_nowhere.lora_down.weight": random(2, 16), "lora_unet_nowhere.lora_up.weight": random(16, 2)}
    with pytest.raises(AssetRefused, match="fits no layer of this model's unet"):
        load_model(model(), on(checkpoint, write(tmp_path / "style.safetensors", tensors)))


def test_layers_that_do_not_exist_are_told(checkpoint: Path, tmp_path: Path) -> None:
    linear, _, (down, up) = UNET_NAMES["kohya"]
    tensors = {
        f"{name}.{end}": tensor
        for name in (linear, "lora_unet_nowhere")
        for end, tensor in ((down, random(2, 16)), (up, random(16, 2)))
    }
    where = on(checkpoint, write(tmp_path / "style.safetensors", tensors))
    load_model(model(), where)
    assert where.warnings == ["style.safetensors: 1 of 2 layers do not exist in unet"]


@pytest.mark.parametrize(
    ("down", "up"),
    [((2, 8), (16, 2)), ((2, 16), (8, 2)), ((3, 16), (16, 2)), ((0, 16), (16, 0)), ((), (16, 2)), ((16, 1), (16, 16))],
)
def test_other_shapes_are_refused(down: tuple[int, ...], up: tuple[int, ...], checkpoint: Path, tmp_path: Path) -> None:
    linear = UNET_NAMES["kohya"][0]
    tensors = {f"{linear}.lora_down.weight": random(*down), f"{linear}.lora_up.weight": random(*up)}
    with pytest.raises(AssetRefused, match="which do not make"):
        load_model(model(), on(checkpoint, write(tmp_path / "style.safetensors", tensors)))


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight"], "is not a LoRA"),
        (["lora_unet_x.oft_blocks"], "a kind that is not supported"),
        (
            ["lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight", "lora_unet_x.lora_magnitude_vector"],
            "not supported",
        ),
        (["lora_unet_x.lora_down.weight"], "not whole: lora_unet_x holds lora_down and nothing else"),
        (["lora_unet_x.lora_down.weight", "lora_unet_x.lora_A.weight"], "says lora_down of lora_unet_x twice"),
        (["lora_te_x.lora_down.weight", "lora_te_x.lora_up.weight"], "changes no layer of an SDXL model"),
        (
            [f"lora_{part}_x.lora_{end}.weight" for part in ("unet", "te3") for end in ("down", "up")],
            "also changes layers that an SDXL model does not have: lora_te3_x",
        ),
        (
            ["lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight", "lora_unet_x.scalar"],
            "use is not known: lora_unet_x.scalar",
        ),
    ],
)
def test_other_files_are_refused(names: list[str], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "style.safetensors", {name: torch.zeros(1) for name in names})
    with pytest.raises(AssetRefused, match=complaint):
        inspect_lora(path)


def test_an_alpha_is_one_number(tmp_path: Path) -> None:
    tensors = {"lora_unet_x.lora_down.weight": random(1, 1), "lora_unet_x.lora_up.weight": random(1, 1)}
    path = write(tmp_path / "style.safetensors", {**tensors, "lora_unet_x.alpha": torch.zeros(2)})
    with pytest.raises(AssetRefused, match="alpha is not one number"):
        inspect_lora(path)


def run_node(path: Path | None, model_strength: float = 0.8, text_strength: float = 0.6) -> tuple[Model, TextEncoders]:
    ctx = QuietContext(assets={"lora": Found(Asset("lora", "style"), path, LORA.sha256)})
    node = LoRA(
        model=Model(WEIGHTS, SIZE),
        text_encoders=TextEncoders(WEIGHTS),
        lora="style",
        model_strength=model_strength,
        text_strength=text_strength,
    )
    applied = node.run(ctx)
    return applied.model, applied.text_encoders


def test_the_node_adds_to_what_the_file_changes(tmp_path: Path) -> None:
    lora = Lora(LORA, 0.8, 0.6)
    tensors = {"lora_unet_x.lora_down.weight": random(1, 1), "lora_unet_x.lora_up.weight": random(1, 1)}
    path = write(tmp_path / "style.safetensors", tensors)
    assert run_node(path) == (Model(WEIGHTS, SIZE, loras=(lora,)), TextEncoders(WEIGHTS))
    tensors |= {"lora_te1_x.lora_down.weight": random(1, 1), "lora_te1_x.lora_up.weight": random(1, 1)}
    write(path, tensors)
    assert run_node(path) == (Model(WEIGHTS, SIZE, loras=(lora,)), TextEncoders(WEIGHTS, (lora,)))


def test_none_and_zero_add_nothing(tmp_path: Path) -> None:
    assert run_node(None) == (Model(WEIGHTS, SIZE), TextEncoders(WEIGHTS))
    tensors = {"lora_unet_x.lora_down.weight": random(1, 1), "lora_unet_x.lora_up.weight": random(1, 1)}
    assert run_node(write(tmp_path / "style.safetensors", tensors), 0.0)[0] == Model(WEIGHTS, SIZE)
