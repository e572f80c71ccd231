"""Weights move the picture: the embedded checkpoint, from prompt to pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files

import pytest
import torch

from engine.testing import QuietContext
from nodes.sdxl.arrays import image_to_tensor
from nodes.sdxl.denoise import DenoiseRequest, denoise
from nodes.sdxl.model import LiveModel, load_model
from nodes.sdxl.prompt import Weighting, encode_conditioning
from nodes.sdxl.text import LiveTextEncoders, load_text_encoders
from nodes.sdxl.vae import LiveVae, decode, load_vae
from nodes.values import Model, TextEncoders, Vae
from tests.nodes.sdxl.loading import WEIGHTS, loading

RED, BLUE = 0, 2
PROMPT = "1girl, close-up, (red background:{:.1f}), (blue background:{:.1f})"


@dataclass(frozen=True)
class Nano:
    """The embedded checkpoint, loaded."""

    text: LiveTextEncoders
    model: LiveModel
    vae: LiveVae

    def draw_background(self, prompt: str, weighting: Weighting) -> torch.Tensor:
        """Draw a picture and return the mean colour [3], from -1 to 1, of its upper corners."""
        conditioning = encode_conditioning(self.text, prompt, "worst quality, lowres, blurry", weighting=weighting)
        request = DenoiseRequest(conditioning=conditioning, seeds=(3,), size=(128, 128), steps=10, cfg=5.0)
        image = decode(self.vae, denoise(self.model, request, QuietContext()))
        (picture,) = image_to_tensor(image)
        corners = torch.cat([picture[:, :16, :16], picture[:, :16, -16:]], dim=2)
        return corners.mean(dim=(1, 2))


@pytest.fixture(scope="module")
def nano() -> Iterator[Nano]:
    torch.set_num_threads(1)
    with as_file(files("nodes.sdxl").joinpath("nano/nova-nano.safetensors")) as path:
        yield Nano(
            load_text_encoders(TextEncoders(WEIGHTS), loading(path)),
            load_model(Model(WEIGHTS, (128, 128)), loading(path)),
            load_vae(Vae(WEIGHTS), loading(path)),
        )


@pytest.mark.parametrize("weighting", ["compel", "comfy", "a1111"])
def test_the_heavier_colour_wins(nano: Nano, weighting: Weighting) -> None:
    red = nano.draw_background(PROMPT.format(1.6, 0.4), weighting)
    blue = nano.draw_background(PROMPT.format(0.4, 1.6), weighting)
    assert red[RED] > red[BLUE] + 0.5
    assert blue[BLUE] > blue[RED] + 0.5
