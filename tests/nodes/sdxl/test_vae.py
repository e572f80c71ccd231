"""Decoding and encoding: what diffusers computes, one picture at a time, finite whatever happens."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionXLImg2ImgPipeline

from engine.errors import Cancelled, NovaError
from nodes.sdxl.arrays import from_tensor, image_to_tensor, to_tensor
from nodes.sdxl.vae import LiveVae, decode, encode
from nodes.values import Array, Image, Latents
from tests.tiny import tiny, vae

OVERFLOWING = 6e4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def live() -> LiveVae:
    return LiveVae(vae())


def noise(batch: int = 1, edge: int = 8) -> torch.Tensor:
    return torch.randn(batch, 4, edge, edge, generator=torch.Generator().manual_seed(0))


def latents(batch: int = 1, edge: int = 8) -> Latents:
    return Latents(from_tensor(noise(batch, edge)), tuple(range(batch)))


def picture(height: int = 64, width: int = 64, batch: int = 1) -> Image:
    generator = torch.Generator().manual_seed(1)
    return Image(from_tensor(torch.randint(0, 256, (batch, height, width, 3), generator=generator, dtype=torch.uint8)))


def pictures_of(image: Image) -> list[bytes]:
    size = len(image.pixels.data) // image.pixels.shape[0]
    return [image.pixels.data[start : start + size] for start in range(0, len(image.pixels.data), size)]


def half_vae(weight: float = OVERFLOWING) -> LiveVae:
    """Return a VAE whose activations overflow in float16 but not in float32."""
    own = vae().half()
    with torch.no_grad():
        own.decoder.conv_in.weight.fill_(weight)
        own.encoder.conv_in.weight.fill_(weight)
    return LiveVae(own)


@dataclass
class Heard:
    texts: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.texts.append(text)


def test_decoding_equals_the_pipelines_own(live: LiveVae) -> None:
    pipe = tiny().pipeline()
    with torch.inference_mode():
        decoded = pipe.vae.decode(noise() / pipe.vae.config.scaling_factor, return_dict=False)[0]
        expected = pipe.image_processor.postprocess(decoded, output_type="pil")[0]
    image = decode(live, latents())
    assert image.pixels.shape == (1, 64, 64, 3)
    assert image.pixels.data == expected.tobytes()


def test_encoding_equals_the_pipelines_own(live: LiveVae) -> None:
    pipe = StableDiffusionXLImg2ImgPipeline(**tiny().pipeline().components)
    pixels = image_to_tensor(picture())
    with torch.inference_mode():
        mode = pipe.vae.encode(pixels).latent_dist.mode()
    assert torch.equal(to_tensor(encode(live, picture()).samples), mode * pipe.vae.config.scaling_factor)


def test_encoding_is_without_chance(live: LiveVae) -> None:
    torch.manual_seed(1)
    first = encode(live, picture())
    torch.manual_seed(2)
    assert encode(live, picture()) == first


def test_a_batch_is_its_pictures(live: LiveVae) -> None:
    batch = latents(3)
    image = decode(live, batch)
    assert image.seeds == (0, 1, 2)
    size = len(batch.samples.data) // 3
    for number, one in enumerate(pictures_of(image)):
        alone = Array("F32", (1, 4, 8, 8), batch.samples.data[number * size : (number + 1) * size])
        assert decode(live, Latents(alone)).pixels.data == one


def test_encoding_a_batch_is_encoding_its_pictures(live: LiveVae) -> None:
    batch = picture(batch=2)
    joined = b"".join(encode(live, Image(Array("U8", (1, 64, 64, 3), one))).samples.data for one in pictures_of(batch))
    assert encode(live, batch).samples.data == joined


@pytest.mark.parametrize(
    ("size", "shape"), [((70, 65), (1, 4, 8, 8)), ((64, 71), (1, 4, 8, 8)), ((8, 16), (1, 4, 1, 2))]
)
def test_odd_edges_are_cut_evenly(size: tuple[int, int], shape: tuple[int, ...], live: LiveVae) -> None:
    assert encode(live, picture(*size)).samples.shape == shape


def test_the_cut_is_centred(live: LiveVae) -> None:
    whole = to_tensor(picture(70, 65).pixels)
    cut = Image(from_tensor(whole[:, 3:67, 0:64]))
    assert encode(live, picture(70, 65)) == encode(live, cut)


def test_a_picture_smaller_than_one_latent_is_refused(live: LiveVae) -> None:
    with pytest.raises(NovaError, match="16x7 pixels is too small"):
        encode(live, picture(7, 16))


def test_not_finite_in_half_precision_is_done_again_in_single() -> None:
    live, heard = half_vae(), Heard()
    image = decode(live, latents(2), warn=heard.warn)
    assert len(heard.texts) == 2
    assert "not finite in torch.float16; computed again in float32" in heard.texts[0]
    assert live.vae.dtype == torch.float16, "the shared VAE is left alone"
    expected = LiveVae(AutoencoderKL.from_config(live.vae.config).eval())
    expected.vae.load_state_dict({name: tensor.float() for name, tensor in live.vae.state_dict().items()})
    assert image == decode(expected, latents(2))


def test_encoding_is_done_again_too() -> None:
    heard = Heard()
    assert torch.isfinite(to_tensor(encode(half_vae(), picture(), warn=heard.warn).samples)).all()
    assert len(heard.texts) == 1


def test_finite_in_half_precision_is_left_alone() -> None:
    heard = Heard()
    decode(LiveVae(vae().half()), latents(), warn=heard.warn)
    assert heard.texts == []


def test_damaged_weights_are_an_error() -> None:
    own = vae()
    with torch.no_grad():
        own.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(NovaError, match="decoded picture is not finite, even in float32"):
        decode(LiveVae(own), latents())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_an_error(bad: float, live: LiveVae) -> None:
    samples = noise()
    samples[0, 0, 0, 0] = bad
    with pytest.raises(NovaError, match="the latents hold numbers that are not finite"):
        decode(live, Latents(from_tensor(samples)))


def test_tiles_larger_than_the_picture_change_nothing(live: LiveVae) -> None:
    assert decode(live, latents(), tile=512) == decode(live, latents())
    assert encode(live, picture(), tile=512) == encode(live, picture())


def test_tiles_are_diffusers_tiles(live: LiveVae) -> None:
    own = vae()
    own.enable_tiling()
    own.tile_sample_min_size, own.tile_latent_min_size = 64, 8
    with torch.inference_mode():
        decoded = own.decode(noise(edge=16) / own.config.scaling_factor, return_dict=False)[0]
    expected = tiny().pipeline().image_processor.postprocess(decoded, output_type="pil")[0]
    assert decode(live, latents(edge=16), tile=64).pixels.data == expected.tobytes()
    assert decode(live, latents(edge=16)).pixels.data != expected.tobytes()
    assert live.vae.use_tiling is False, "the shared VAE is left alone"


class SmallDevice(AutoencoderKL):  # type: ignore[misc]  # diffusers is untyped
    """A VAE on a device where only tiles fit."""

    def decode(self, z: torch.Tensor, **options: Any) -> Any:
        if not self.use_tiling:
            raise torch.OutOfMemoryError("out of memory")
        return super().decode(z, **options)


def test_what_does_not_fit_is_done_in_tiles() -> None:
    own, heard = SmallDevice.from_config(vae().config).eval(), Heard()
    own.load_state_dict(vae().state_dict())
    image = decode(LiveVae(own), latents(edge=72), warn=heard.warn)
    assert heard.texts == ["the picture did not fit into memory whole; the VAE works in tiles of 512 pixels"]
    assert image == decode(LiveVae(vae()), latents(edge=72), tile=512)


def test_cancel_is_heard_between_pictures(live: LiveVae) -> None:
    turns = iter([None, Cancelled()])

    def check() -> None:
        turn = next(turns)
        if turn is not None:
            raise turn

    with pytest.raises(Cancelled):
        decode(live, latents(2), check=check)
