"""What a file is, told from its header: each kind that cannot be used says what it is and what to do."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import inspect_checkpoint, inspect_vae
from nodes.sdxl.header import read_header
from nodes.sdxl.model import LiveModel
from tests.tiny import Tiny, tiny, unet, write_checkpoint
from tools.single_file import write_safetensors

UNET = "model.diffusion_model.input_blocks.0.0.weight"


def names(*keys: str) -> dict[str, torch.Tensor]:
    """Return tensors of no interest under those names."""
    return {key: torch.zeros(1) for key in keys}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({}, "holds no tensors"),
        (names("lora_unet_input_blocks_4_1_proj_in.lora_down.weight"), "is a LoRA, not a checkpoint"),
        (names("unet.down_blocks.1.attentions.0.proj_in.lora_A.weight"), "is a LoRA, not a checkpoint"),
        (names("text_encoder.q_proj.lora_linear_layer.down.weight"), "is a LoRA, not a checkpoint"),
        (names("lora_unet_mid.hada_w1_a"), "is a LoRA, not a checkpoint"),
        (
            names(UNET, "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight"),
            r"Stable Diffusion 1\.x",
        ),
        (names(UNET, "cond_stage_model.model.positional_embedding"), r"Stable Diffusion 2\.x"),
        (names(UNET, "conditioner.embedders.0.model.positional_embedding"), "is the SDXL refiner"),
        (names(UNET, "scaled_fp8"), "scaled 8-bit weights"),
        (names(UNET, "model.diffusion_model.out.2.scale_weight"), "scaled 8-bit weights"),
        (names(UNET, "model.diffusion_model.out.2.weight_scale"), "scaled 8-bit weights"),
        (names(UNET, "model.diffusion_model.out.2.comfy_quant"), "scaled 8-bit weights"),
        (names(UNET, "edm_mean", "edm_std"), r"another scale of noise \(EDM\)"),
        (names(UNET, "edm_vpred.sigma_max"), r"another scale of noise \(EDM\)"),
        (names("first_stage_model.encoder.conv_in.weight", "first_stage_model.decoder.conv_in.weight"), "is a VAE"),
        (names("encoder.conv_in.weight", "decoder.conv_in.weight"), "is a VAE"),
        (names("down_blocks.0.resnets.0.norm1.weight"), "holds a UNet alone"),
        (names("double_blocks.0.img_attn.qkv.weight"), "is not an SDXL checkpoint"),
        (names("model.diffusion_model.joint_blocks.0.x"), "its UNet has another structure"),
        ({UNET: torch.zeros(8, 8, 3, 3)}, "takes 8 channels; SDXL takes 4"),
        ({UNET: torch.zeros(8, 4, 3, 3)}, "holds a UNet alone"),
    ],
)
def test_other_files_are_refused_by_name(tensors: dict[str, torch.Tensor], complaint: str, path: Path) -> None:
    write_safetensors(path, tensors, {})
    with pytest.raises(AssetRefused, match=complaint) as caught:
        inspect_checkpoint(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("without", "complaint"),
    [
        ("conditioner.embedders.0.", r"lacks the first text encoder \(CLIP-L\)$"),
        ("conditioner.embedders.1.", r"lacks the second text encoder \(CLIP-bigG\)$"),
        ("conditioner.", "lacks the first text encoder .* and the second"),
    ],
)
def test_missing_parts_are_named(without: str, complaint: str, path: Path) -> None:
    write_checkpoint(path, without=(without,))
    with pytest.raises(AssetRefused) as caught:
        inspect_checkpoint(path)
    assert re.search(complaint, caught.value.message)


def test_an_inpainting_checkpoint_is_refused(path: Path) -> None:
    parts = tiny()
    model = LiveModel(unet(in_channels=9), parts.model.scheduler_config)
    write_checkpoint(path, parts=Tiny(model, parts.text, parts.vae))
    with pytest.raises(AssetRefused, match="inpainting checkpoint, whose UNet takes 9 channels"):
        inspect_checkpoint(path)


@pytest.mark.parametrize(
    ("markers", "metadata", "prediction", "terminal"),
    [
        ((), {}, "epsilon", False),
        (("v_pred",), {}, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, "v_prediction", True),
        ((), {"modelspec.prediction_type": "v"}, "v_prediction", False),
        ((), {"modelspec.predict_key": "v"}, "v_prediction", False),
        ((), {"modelspec.predict_key": "epsilon"}, "epsilon", False),
        ((), {"modelspec.prediction_type": "v_prediction", "ss_zero_terminal_snr": "True"}, "v_prediction", True),
    ],
)
def test_how_a_model_was_trained_is_recognised(
    markers: tuple[str, ...], metadata: Mapping[str, str], prediction: str, terminal: bool, path: Path
) -> None:
    found = inspect_checkpoint(write_checkpoint(path, markers=markers, metadata=metadata))
    assert (found.prediction, found.zero_terminal_snr) == (prediction, terminal)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("832x1216", (832, 1216)),
        ("", (128, 128)),
        ("big", (128, 128)),
        ("100x100", (128, 128)),
        ("99999x99999", (128, 128)),
        ("8x8", (128, 128)),
    ],
)
def test_the_native_size_is_what_the_file_says_if_that_is_sensible(
    said: str, size: tuple[int, int], path: Path
) -> None:
    assert inspect_checkpoint(write_checkpoint(path, metadata={"modelspec.resolution": said})).size == size


def test_without_a_configuration_a_checkpoint_is_full_size(path: Path) -> None:
    keys = (
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight",
        "conditioner.embedders.1.model.positional_embedding",
        "first_stage_model.encoder.conv_in.weight",
        "first_stage_model.decoder.conv_in.weight",
    )
    write_safetensors(path, {UNET: torch.zeros(1, 4, 1, 1), **names(*keys)}, {})
    found = inspect_checkpoint(path)
    assert found.size == (1024, 1024)
    assert found.configuration.tokenizer is None


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda config: config["unet"].update(layers_per_block=10**9), "unet.layers_per_block"),
        (lambda config: config["unet"].update(block_out_channels=[8] * 7), "unet.block_out_channels"),
        (lambda config: config["unet"].update(down_block_types=["evil"]), "unet.down_block_types"),
        (lambda config: config["text_encoder"].update(num_hidden_layers=1e9), "text_encoder.num_hidden_layers"),
        (lambda config: config["text_encoder"].update(_attn_implementation="a/b"), "text_encoder._attn_implementation"),
        (lambda config: config["vae"].update(scaling_factor=0.0), "vae.scaling_factor"),
        (lambda config: config.pop("vae"), "vae"),
        (lambda config: config["tokenizer"].update(merges=["x" * 300]), "tokenizer.merges.0"),
    ],
)
def test_a_strangers_configuration_is_bounded(change: Callable[[dict[str, Any]], None], where: str, path: Path) -> None:
    config = json.loads(read_header(write_checkpoint(path)).metadata["nova_graph.config"])
    change(config)
    write_checkpoint(path, metadata={"nova_graph.config": json.dumps(config)})
    with pytest.raises(AssetRefused, match=f"configuration that cannot be used: {where}"):
        inspect_checkpoint(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"unet": {"sample_size": NaN}}'])
def test_a_broken_configuration_is_refused(text: str, path: Path) -> None:
    write_checkpoint(path, metadata={"nova_graph.config": text})
    with pytest.raises(AssetRefused, match="configuration that cannot be used"):
        inspect_checkpoint(path)


def test_a_vae_file_without_a_vae_is_refused(path: Path) -> None:
    write_checkpoint(path, without=("first_stage_model.",))
    with pytest.raises(AssetRefused, match="holds no VAE"):
        inspect_vae(path)


@pytest.mark.parametrize("clip", ["transformer.text_model.embeddings.position_ids", "model.ln_final.weight"])
def test_an_older_checkpoint_is_no_vae_for_sdxl(clip: str, path: Path) -> None:
    sides = ("first_stage_model.encoder.conv_in.weight", "first_stage_model.decoder.conv_in.weight")
    write_safetensors(path, names(UNET, *sides, f"cond_stage_model.{clip}"), {})
    with pytest.raises(AssetRefused, match=r"Stable Diffusion 1\.x or 2\.x checkpoint, whose VAE"):
        inspect_vae(path)


def test_a_checkpoint_may_serve_as_vae(path: Path) -> None:
    assert inspect_vae(write_checkpoint(path)).block_out_channels == (4, 4, 8, 8)


@pytest.mark.parametrize("without", ["first_stage_model.", "first_stage_model.decoder."])
def test_a_checkpoint_may_lack_its_vae(without: str, tmp_path: Path) -> None:
    assert not inspect_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors", without=(without,))).has_vae
    assert inspect_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors")).has_vae
