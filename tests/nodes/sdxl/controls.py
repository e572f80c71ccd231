"""What the tests of ControlNets share: tiny ones with random weights, pictures to follow, and files of them."""

import inspect
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import ControlNetModel, ControlNetUnionModel

from nodes.sdxl.arrays import from_tensor
from nodes.sdxl.control import LiveControlNetwork
from nodes.sdxl.layout import control_places
from nodes.values import Control, ControlNetwork, Image, Weights
from tests.tiny import merges, tiny
from tools.single_file import configuration_metadata, describe, write_safetensors

NETWORK = Weights("2" * 64, "lines.safetensors")


def control_net(seed: int = 0) -> ControlNetModel:
    """Return a ControlNet for the tiny model that acts from the first step on: none of its weights are zero."""
    network = ControlNetModel.from_unet(tiny().model.unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def union_net(seed: int = 0, *, kinds: int = 8, layers: int = 1) -> ControlNetUnionModel:
    """Return a union ControlNet for the tiny model that acts from the first step on."""
    plain = control_net().config
    known = inspect.signature(ControlNetUnionModel.__init__).parameters
    shared = {name: value for name, value in plain.items() if name in known}
    torch.manual_seed(seed)
    network = ControlNetUnionModel(
        **shared,
        num_control_type=kinds,
        num_trans_channel=plain["block_out_channels"][0],
        num_proj_channel=plain["block_out_channels"][0],
        num_trans_layer=layers,
    )
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def live(seed: int = 0) -> LiveControlNetwork:
    """Return a ControlNet as the pool would hand it out."""
    return LiveControlNetwork(control_net(seed), f"lines-{seed}.safetensors")


def hint(batch: int = 1, size: tuple[int, int] = (64, 64), seed: int = 0) -> Image:
    """Return pictures to follow."""
    width, height = size
    generator = torch.Generator().manual_seed(500 + seed)
    return Image(from_tensor(torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8)))


def control(
    picture: Image, strength: float = 1.0, start: float = 0.0, end: float = 1.0, kind: int | None = None
) -> Control:
    """Return a control that follows a picture."""
    return Control(ControlNetwork(NETWORK), picture, strength, start, end, kind)


def told() -> dict[str, str]:
    """Return the metadata by which a file says that it was made for the tiny model."""
    parts = tiny()
    return configuration_metadata(describe(parts.model, parts.text, parts.vae, merges()))


def original_layout(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a ControlNet under the names of its original layout."""
    places = control_places(tensors, 2, prefix)
    return {places[name].key: tensor for name, tensor in tensors.items()}


def write_control_net(path: Path, network: ControlNetModel | ControlNetUnionModel, prefix: str | None = None) -> Path:
    """Write a ControlNet, in the layout of diffusers or, with a prefix, in the original one."""
    tensors = network.state_dict()
    write_safetensors(path, tensors if prefix is None else original_layout(tensors, prefix), told())
    return path
