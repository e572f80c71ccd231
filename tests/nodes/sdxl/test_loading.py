"""Components come out of one file whole, equal to what diffusers loads, and without a word to the network."""

import json
import socket
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from engine.errors import AssetMissing, AssetRefused
from nodes.sdxl.configuration import configuration_of, full_size
from nodes.sdxl.header import read_header
from nodes.sdxl.model import LiveModel, empty_unet, load_model
from nodes.sdxl.text import empty_text_encoder, empty_text_encoder_2, load_text_encoders
from nodes.sdxl.tokenizer import make_tokenizers
from nodes.sdxl.vae import empty_vae, load_vae
from nodes.values import Model, TextEncoders, Vae
from tests.nodes.sdxl.loading import WEIGHTS, FileLoading, loading
from tests.tiny import Tiny, tiny, write_checkpoint
from tools.single_file import model_spec, write_safetensors

NANO = Path(str(files("nodes.sdxl").joinpath("nano/nova-nano.safetensors")))
SIZE = (128, 128)


def load(where: FileLoading) -> Tiny:
    """Load all three parts of the checkpoint."""
    return Tiny(
        model=load_model(Model(WEIGHTS, SIZE), where),
        text=load_text_encoders(TextEncoders(WEIGHTS), where),
        vae=load_vae(Vae(WEIGHTS), where),
    )


def modules(parts: Tiny) -> dict[str, torch.nn.Module]:
    return {
        "unet": parts.model.unet,
        "vae": parts.vae.vae,
        "text_encoder": parts.text.text_encoder,
        "text_encoder_2": parts.text.text_encoder_2,
    }


def assert_equal(mine: torch.nn.Module, theirs: torch.nn.Module) -> None:
    own, other = mine.state_dict(), theirs.state_dict()
    assert list(own) == list(other)
    for name, tensor in own.items():
        assert tensor.dtype == other[name].dtype, name
        assert torch.equal(tensor, other[name]), name


def test_what_was_written_is_what_is_loaded(checkpoint: Path) -> None:
    loaded, written = modules(load(loading(checkpoint))), modules(tiny())
    for name, module in loaded.items():
        assert_equal(module, written[name])
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("file", ["tiny", "nano"])
def test_every_tensor_equals_what_diffusers_loads(file: str, checkpoint: Path, tmp_path: Path) -> None:
    path = NANO if file == "nano" else checkpoint
    mine = load(loading(path))
    mine.pipeline().save_pretrained(tmp_path)
    theirs = StableDiffusionXLPipeline.from_single_file(str(path), config=str(tmp_path), torch_dtype=torch.float32)
    for name, module in modules(mine).items():
        assert_equal(module, getattr(theirs, name))
    for name in ("tokenizer", "tokenizer_2"):
        own, other = getattr(mine.text, name), getattr(theirs, name)
        assert own("blue hair, zzq").input_ids == other("blue hair, zzq").input_ids
        assert (own.pad_token_id, own.model_max_length) == (other.pad_token_id, 77)


def test_weights_own_aligned_memory(checkpoint: Path) -> None:
    for module in modules(load(loading(checkpoint))).values():
        assert all(parameter.data_ptr() % 64 == 0 for parameter in module.parameters())


def test_nothing_asks_the_network(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load(loading(checkpoint))
    make_tokenizers(None)


@pytest.mark.parametrize(
    ("dtype", "half", "unet", "vae"),
    [
        ("float32", False, torch.float32, torch.float32),
        ("float32", True, torch.float32, torch.float32),
        ("float16", False, torch.float16, torch.float32),
        ("float16", True, torch.float16, torch.float16),
        ("bfloat16", False, torch.bfloat16, torch.bfloat16),
    ],
)
def test_each_part_has_its_own_dtype(
    checkpoint: Path, dtype: str, half: bool, unet: torch.dtype, vae: torch.dtype
) -> None:
    where = loading(checkpoint, dtype)
    assert load_model(Model(WEIGHTS, SIZE), where).unet.dtype == unet
    assert load_text_encoders(TextEncoders(WEIGHTS), where).text_encoder_2.dtype == unet
    assert load_vae(Vae(WEIGHTS, half=half), where).vae.dtype == vae


def test_half_precision_files_load_in_single_precision(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "half.safetensors", dtype=torch.float16)
    unet = load_model(Model(WEIGHTS, SIZE), loading(path)).unet
    assert unet.dtype == torch.float32
    assert torch.equal(unet.conv_in.weight, tiny().model.unet.conv_in.weight.half().float())


def test_the_schedule_is_the_handles(checkpoint: Path) -> None:
    plain = load_model(Model(WEIGHTS, SIZE), loading(checkpoint)).scheduler_config
    assert (plain["prediction_type"], plain["rescale_betas_zero_snr"]) == ("epsilon", False)
    handle = Model(WEIGHTS, SIZE, prediction="v_prediction", zero_terminal_snr=True)
    velocity = load_model(handle, loading(checkpoint)).scheduler_config
    assert velocity["prediction_type"] == "v_prediction"
    assert velocity["rescale_betas_zero_snr"] is True
    assert velocity["timestep_spacing"] == "trailing"


def test_a_projection_that_diffusers_script_converted_is_read_as_it_is(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint)
    name = "conditioner.embedders.1.model.text_projection"
    tensors[f"{name}.weight"] = tensors.pop(name).T.contiguous()
    path = tmp_path / "converted.safetensors"
    write_safetensors(path, tensors, dict(read_header(checkpoint).metadata))
    converted = load_text_encoders(TextEncoders(WEIGHTS), loading(path))
    assert_equal(converted.text_encoder_2, tiny().text.text_encoder_2)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    name = "model.diffusion_model.label_emb.0.0.weight"
    path = write_checkpoint(tmp_path / "cut.safetensors", without=(name,))
    with pytest.raises(AssetRefused, match=f"lacks {name}, which UNet2DConditionModel needs"):
        load_model(Model(WEIGHTS, SIZE), loading(path))


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "cut.safetensors", without=("conditioner.embedders.1.model.transformer.",))
    with pytest.raises(AssetRefused, match=r"lacks conditioner\.embedders\.1\..* and 23 more"):
        load_text_encoders(TextEncoders(WEIGHTS), loading(path))


def test_another_structure_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "unlike.safetensors"
    write_safetensors(path, load_file(checkpoint), model_spec("without configuration", SIZE))
    with pytest.raises(AssetRefused, match="UNet2DConditionModel needs"):
        load_model(Model(WEIGHTS, SIZE), loading(path))


def test_a_wrong_shape_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint)
    tensors["model.diffusion_model.out.2.bias"] = torch.zeros(5)
    path = tmp_path / "unlike.safetensors"
    write_safetensors(path, tensors, dict(read_header(checkpoint).metadata))
    with pytest.raises(AssetRefused, match=r"out\.2\.bias has the shape \[5\] where this model needs \[4\]"):
        load_model(Model(WEIGHTS, SIZE), loading(path))


@pytest.mark.parametrize(
    ("merge", "complaint"),
    [("g i", "'gi' 'r' does not follow"), ("ba d</w>", "tokenizer has")],
    ids=["broken", "short"],
)
def test_a_foreign_vocabulary_is_refused(merge: str, complaint: str, checkpoint: Path, tmp_path: Path) -> None:
    metadata = dict(read_header(checkpoint).metadata)
    config = json.loads(metadata["nova_graph.config"])
    config["tokenizer"]["merges"].remove(merge)
    metadata["nova_graph.config"] = json.dumps(config)
    path = tmp_path / "foreign.safetensors"
    write_safetensors(path, load_file(checkpoint), metadata)
    with pytest.raises(AssetRefused, match=complaint):
        load_text_encoders(TextEncoders(WEIGHTS), loading(path))


@pytest.mark.parametrize(
    "setting", [{"norm_num_groups": 3}, {"down_block_types": ["DownBlock2D"]}, {"attention_head_dim": []}]
)
def test_a_contradictory_configuration_is_refused(setting: dict[str, object], checkpoint: Path, tmp_path: Path) -> None:
    config = json.loads(read_header(checkpoint).metadata["nova_graph.config"])
    config["unet"].update(setting)
    path = write_checkpoint(tmp_path / "odd.safetensors", metadata={"nova_graph.config": json.dumps(config)})
    with pytest.raises(AssetRefused, match="makes no model"):
        load_model(Model(WEIGHTS, SIZE), loading(path))


def test_missing_weights_are_missing() -> None:
    with pytest.raises(AssetMissing, match="sha256"):
        load_model(Model(WEIGHTS, SIZE), FileLoading({}))


@pytest.mark.parametrize("layout", ["checkpoint", "bare", "diffusers"])
def test_a_vae_of_its_own_loads_in_each_layout(layout: str, checkpoint: Path, tmp_path: Path) -> None:
    prefix = "first_stage_model."
    tensors = {name: tensor for name, tensor in load_file(checkpoint).items() if name.startswith(prefix)}
    if layout == "bare":
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    if layout == "diffusers":
        tensors = dict(tiny().vae.vae.state_dict())
    path = tmp_path / "vae.safetensors"
    write_safetensors(path, tensors, dict(read_header(checkpoint).metadata))
    assert_equal(load_vae(Vae(WEIGHTS, bundled=False), loading(path)).vae, tiny().vae.vae)


def test_the_packaged_configuration_is_full_size() -> None:
    config = full_size()

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(empty_unet(config.unet)) == 2_567_463_684
    assert count(empty_vae(config.vae)) == 83_653_863
    assert count(empty_text_encoder(config.text_encoder)) == 123_060_480
    assert count(empty_text_encoder_2(config.text_encoder_2)) == 694_659_840


def test_the_packaged_vocabulary_is_clips() -> None:
    first, second = make_tokenizers(None)
    for tokenizer in (first, second):
        assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
        assert (len(tokenizer), tokenizer.model_max_length) == (49408, 77)
    assert first("NAÏVE 🐈").input_ids == first("naïve 🐈").input_ids
    assert (first.pad_token_id, second.pad_token_id) == (49407, 0)


def test_nano_says_what_it_is() -> None:
    header = read_header(NANO)
    assert header.metadata["modelspec.license"] == "Apache-2.0"
    assert header.metadata["modelspec.resolution"] == "128x128"
    assert configuration_of(header).tokenizer is not None
    with safe_open(NANO.with_name("face.safetensors"), "pt") as face:
        assert face.metadata()["modelspec.license"] == "Apache-2.0"


def test_the_same_model_gives_the_same_bytes(checkpoint: Path, tmp_path: Path) -> None:
    assert write_checkpoint(tmp_path / "again.safetensors").read_bytes() == checkpoint.read_bytes()


def test_a_setting_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    parts = tiny()
    parts.model.unet.register_to_config(act_fn="gelu")
    with pytest.raises(ValueError, match="cannot express act_fn='gelu'"):
        write_checkpoint(tmp_path / "odd.safetensors", parts=parts)


def test_live_objects_are_frozen() -> None:
    live = LiveModel(tiny().model.unet, {})
    with pytest.raises(AttributeError):
        live.scheduler_config = {}  # type: ignore[misc]
