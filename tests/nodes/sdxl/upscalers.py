"""What the upscaler tests share: tiny networks with random weights, as files."""

from pathlib import Path

import torch
from spandrel.architectures.Compact import Compact
from spandrel.architectures.ESRGAN import ESRGAN

from nodes.sdxl.upscaler import LiveUpscaler, load_upscaler
from nodes.values import Upscaler
from tests.nodes.sdxl.loading import WEIGHTS, loading
from tools.single_file import write_safetensors


def compact(factor: int = 4, channels: int = 3) -> dict[str, torch.Tensor]:
    """Return the weights of a Compact network that sees three pixels far."""
    torch.manual_seed(0)
    network = Compact(num_in_ch=channels, num_out_ch=channels, num_feat=4, num_conv=1, upscale=factor)
    return dict(network.state_dict())


def esrgan(factor: int = 2, unshuffled: int = 1) -> dict[str, torch.Tensor]:
    """Return the weights of an ESRGAN with one block; `unshuffled` is the edge of the squares it takes as a pixel."""
    torch.manual_seed(0)
    whole = factor * unshuffled
    shuffle = unshuffled if unshuffled > 1 else None
    network = ESRGAN(
        in_nc=3 * unshuffled**2, out_nc=3, num_filters=4, num_blocks=1, scale=whole, shuffle_factor=shuffle
    )
    return dict(network.state_dict())


def written(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write weights and return where."""
    write_safetensors(path, tensors, {})
    return path


def upscaler(path: Path) -> LiveUpscaler:
    """Load an upscaler from a file."""
    return load_upscaler(Upscaler(WEIGHTS), loading(path))
