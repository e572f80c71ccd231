"""ControlNet files: which are taken, in which layout, and what is said of the others."""

from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import ControlNetModel, ControlNetUnionModel
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

from engine.errors import AssetRefused
from nodes.sdxl.checkpoint import inspect_checkpoint
from nodes.sdxl.configuration import full_size
from nodes.sdxl.control import empty_control_network, load_control_network
from nodes.sdxl.control_file import Union, inspect_control_net
from nodes.sdxl.layout import CONTROL, control_places
from nodes.sdxl.model import empty_unet
from nodes.values import ControlNetwork
from tests.nodes.sdxl.controls import NETWORK, control_net, original_layout, told, union_net, write_control_net
from tests.nodes.sdxl.loading import FileLoading
from tests.nodes.sdxl.sparse import write_sparse
from tools.single_file import write_safetensors

FIRST_HINT = "controlnet_cond_embedding.conv_in.weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.safetensors"


def loaded(path: Path) -> ControlNetModel | ControlNetUnionModel:
    return load_control_network(ControlNetwork(NETWORK), FileLoading({NETWORK.sha256: path})).network


def smaller(*blocks: str, middle: str = "UNetMidBlock2D") -> ControlNetModel:
    """Return a ControlNet with attention in fewer places than the UNet, as diffusers' small and middle ones have it."""
    torch.manual_seed(3)
    config = {**control_net().config, "down_block_types": blocks, "mid_block_type": middle}
    return ControlNetModel.from_config(config).eval()


@pytest.mark.parametrize("prefix", [None, CONTROL, ""])
def test_every_weight_of_either_layout_is_loaded(prefix: str | None, path: Path) -> None:
    network = control_net()
    found = loaded(write_control_net(path, network, prefix))
    expected = network.state_dict()
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.state_dict().items())
    for setting in ("down_block_types", "transformer_layers_per_block", "conditioning_embedding_out_channels"):
        assert list(found.config[setting]) == list(network.config[setting])


def test_the_original_layout_is_the_one_that_diffusers_converts() -> None:
    network = control_net()
    tensors = network.state_dict()
    converted = convert_controlnet_checkpoint(original_layout(tensors, CONTROL), dict(network.config))
    untold = {name for name in tensors if name.startswith("add_embedding.")}
    assert untold == tensors.keys() - converted.keys()
    assert all(torch.equal(converted[name], tensors[name]) for name in converted)


def test_sizes_of_pictures_lie_where_they_do_in_a_checkpoint() -> None:
    places = control_places(["add_embedding.linear_1.weight", "add_embedding.linear_2.bias"], 2)
    assert [place.key for place in places.values()] == [
        f"{CONTROL}label_emb.0.0.weight",
        f"{CONTROL}label_emb.0.2.bias",
    ]


@pytest.mark.parametrize(("kinds", "layers"), [(6, 1), (8, 2)])
def test_every_weight_of_a_union_is_loaded(kinds: int, layers: int, path: Path) -> None:
    network = union_net(kinds=kinds, layers=layers)
    found = loaded(write_control_net(path, network))
    expected = network.state_dict()
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.state_dict().items())
    own, theirs = dict(found.config), dict(network.config)
    settings = [name for name in own if name.startswith("num_") and name != "num_class_embeds"]
    assert [own[name] for name in settings] == [theirs[name] for name in settings]


def test_a_union_of_the_full_size_is_recognised_by_its_header(path: Path) -> None:
    with init_empty_weights():
        plain = ControlNetModel.from_unet(empty_unet(full_size().unet), load_weights_from_unet=False).config
        shared = {name: value for name, value in plain.items() if name in ControlNetUnionModel.__init__.__annotations__}
        network = ControlNetUnionModel(**shared, num_control_type=8)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = inspect_control_net(write_sparse(path, expected))
    assert found.union == Union(kinds=8, channels=320, layers=1)
    own = empty_control_network(found)
    assert {name: tuple(tensor.shape) for name, tensor in own.state_dict().items()} == expected
    assert own.config["num_trans_head"] == network.config["num_trans_head"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"task_embedding": torch.zeros(8)}, r"of another structure: task_embedding has the shape \[8\]"),
        ({"task_embedding": torch.zeros(0, 8)}, "of another structure"),
        ({"task_embedding": torch.zeros(8, 9)}, "of another structure"),
        ({"task_embedding": torch.zeros(65, 8)}, "of another structure"),
        ({"transformer_layes.": None}, "a union ControlNet of 0 layers over its pictures"),
        ({"mid_block.attentions.": None}, "without attention in its middle"),
    ],
)
def test_other_unions_are_refused(changes: dict[str, torch.Tensor | None], complaint: str, path: Path) -> None:
    tensors = union_net().state_dict()
    for name, tensor in changes.items():
        tensors = {own: value for own, value in tensors.items() if not own.startswith(name)}
        if tensor is not None:
            tensors[name] = tensor
    write_safetensors(path, tensors, told())
    with pytest.raises(AssetRefused, match=complaint):
        inspect_control_net(path)


def test_a_union_that_lacks_a_weight_is_refused(path: Path) -> None:
    tensors = union_net().state_dict()
    del tensors["spatial_ch_projs.weight"]
    write_safetensors(path, tensors, told())
    with pytest.raises(AssetRefused, match=r"lacks spatial_ch_projs\.weight"):
        loaded(path)


@pytest.mark.parametrize("prefix", [None, CONTROL])
@pytest.mark.parametrize(
    "network",
    [
        smaller("DownBlock2D", "DownBlock2D", "DownBlock2D"),
        smaller("DownBlock2D", "DownBlock2D", "DownBlock2D", middle="UNetMidBlock2DCrossAttn"),
        smaller("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
    ],
)
def test_smaller_ones_are_recognised(network: ControlNetModel, prefix: str | None, path: Path) -> None:
    found = loaded(write_control_net(path, network, prefix))
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("prefix", [None, CONTROL])
def test_a_file_that_says_nothing_of_itself_is_of_the_full_size(prefix: str | None, path: Path) -> None:
    with init_empty_weights():
        network = ControlNetModel.from_unet(empty_unet(full_size().unet), load_weights_from_unet=False)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    places = {
        name: name if prefix is None else place.key for name, place in control_places(expected, 2, CONTROL).items()
    }
    found = inspect_control_net(write_sparse(path, {places[name]: shape for name, shape in expected.items()}))
    assert (found.depths, found.middle, found.hints) == ((0, 2, 10), 10, (16, 32, 96, 256))
    own = empty_control_network(found)
    assert {name: tuple(tensor.shape) for name, tensor in own.state_dict().items()} == expected
    settings = ("num_attention_heads", "attention_head_dim", "norm_num_groups", "addition_time_embed_dim")
    assert all(own.config[setting] == network.config[setting] for setting in settings)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["lora_controlnet", "input_hint_block.0.weight"], "is a Control-LoRA"),
        (["lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.down.0.weight"], "is a ControlNet-LLLite"),
        (["control_model.task_embedding"], "is a union ControlNet in another layout than diffusers'"),
        (["adapter.body.0.resnets.0.block1.weight"], "is a T2I-Adapter"),
        (["body.0.block1.weight"], "is a T2I-Adapter"),
        (["ip_adapter.1.to_k_ip.weight", "image_proj.proj.weight"], "is an IP-Adapter"),
        (["controlnet_x_embedder.weight", "transformer_blocks.0.attn.to_k.weight"], "for Flux or Stable Diffusion 3"),
        (["lora_unet_x.lora_down.weight"], "is a LoRA, not a ControlNet"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "is a checkpoint, not a ControlNet"),
        ([f"controlnet.{FIRST_HINT}"], "is not a ControlNet: it has no layers for a picture to follow"),
        (["encoder.conv_in.weight"], "is not a ControlNet: it has no layers for a picture to follow"),
        ([], "is not a ControlNet"),
        ([FIRST_HINT], r"for Stable Diffusion 1\.x or 2\.x, not SDXL"),
        (["control_model.input_hint_block.0.weight"], r"for Stable Diffusion 1\.x or 2\.x, not SDXL"),
    ],
)
def test_other_files_are_refused_by_name(names: list[str], complaint: str, path: Path) -> None:
    write_safetensors(path, {name: torch.zeros(1, 1) for name in names}, {})
    with pytest.raises(AssetRefused, match=complaint) as caught:
        inspect_control_net(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "tensor", "complaint"),
    [
        ("add_embedding.linear_1.weight", torch.zeros(8), r"linear_1\.weight has the shape \[8\], not \[32, 80\]"),
        ("conv_in.weight", torch.zeros(8, 9, 3, 3), r"conv_in\.weight has the shape \[8, 9\], not \[8, 4\]"),
        ("down_blocks.1.resnets.0.conv1.weight", torch.zeros(9, 8, 3, 3), r"has the shape \[9, 8\], not \[16, 8\]"),
        ("down_blocks.2.resnets.0.conv1.weight", None, r"has the shape \[\], not \[16, 16\]"),
        (FIRST_HINT, torch.zeros(4, 1, 3, 3), "follows pictures of 1 channels, not of 3"),
        (FIRST_HINT, torch.zeros(4), "layers for the picture have another structure"),
        (FIRST_HINT, torch.zeros(0, 3, 3, 3), "layers for the picture have another structure"),
        ("controlnet_cond_embedding.blocks.4.weight", None, "layers for the picture have another structure"),
        (
            "mid_block.attentions.0.transformer_blocks.7.norm1.weight",
            torch.zeros(16),
            "middle has 3 transformer layers",
        ),
    ],
)
@pytest.mark.parametrize("prefix", [None, CONTROL])
def test_other_shapes_are_refused(
    name: str, tensor: torch.Tensor | None, complaint: str, prefix: str | None, path: Path
) -> None:
    network = control_net().state_dict()
    tensors = {own: value for own, value in {**network, name: tensor}.items() if value is not None}
    if prefix is not None:
        places = control_places([*network, name], 2, prefix)
        tensors = {places[own].key: value for own, value in tensors.items()}
    write_safetensors(path, tensors, told())
    with pytest.raises(AssetRefused, match=complaint):
        inspect_control_net(path)


def test_one_of_the_full_size_is_not_for_a_file_without_its_own_sizes(path: Path) -> None:
    write_safetensors(path, control_net().state_dict(), {})
    with pytest.raises(AssetRefused, match=r"was made for another model than SDXL: conv_in\.weight"):
        inspect_control_net(path)


def test_absurdly_many_layers_are_refused_before_any_is_made(path: Path) -> None:
    many = {f"mid_block.attentions.0.transformer_blocks.{number}.norm1.weight": torch.zeros(1) for number in range(99)}
    write_safetensors(path, {**control_net().state_dict(), **many}, told())
    with pytest.raises(AssetRefused, match="mid_block has 99 layers"):
        inspect_control_net(path)


def test_nothing_in_a_file_is_left_out(path: Path) -> None:
    write_safetensors(path, {**control_net().state_dict(), "extra.weight": torch.zeros(1)}, told())
    with pytest.raises(AssetRefused, match=r"tensors whose use is not known: extra\.weight"):
        loaded(path)


def test_what_is_missing_is_told(path: Path) -> None:
    tensors = control_net().state_dict()
    del tensors["controlnet_mid_block.bias"]
    write_safetensors(path, tensors, told())
    with pytest.raises(AssetRefused, match=r"lacks controlnet_mid_block\.bias"):
        loaded(path)


@pytest.mark.parametrize("prefix", [None, CONTROL])
def test_a_checkpoint_loader_tells_what_it_got(prefix: str | None, path: Path) -> None:
    with pytest.raises(AssetRefused, match="is a ControlNet, not a checkpoint"):
        inspect_checkpoint(write_control_net(path, control_net(), prefix))
