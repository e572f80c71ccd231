"""Decoding and encoding: what diffusers computes, one picture at a time, finite whatever happens."""

from dataclasses import dataclass, field

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionXLImg2ImgPipeline

from engine.errors import Cancelled, NovaError
from nodes.sdxl.arrays import from_tensor, image_to_tensor, to_tensor
from nodes.sdxl.room import Alone
from nodes.sdxl.vae import LiveVae, decode, encode
from nodes.values import Array, Image, Latents
from tests.tiny import tiny, vae

OVERFLOWING = 6e4


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
class Heard(Alone):
    texts: list[str] = field(default_factory=list)
    makeshifts: list[str] = field(default_factory=list)
    rooms: int = 0

    def warn(self, text: str) -> None:
        self.texts.append(text)

    def make_room(self) -> None:
        self.rooms += 1

    def makeshift(self, text: str) -> None:
        self.makeshifts.append(text)


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
    image = decode(live, latents(2), host=heard)
    assert len(heard.texts) == 2
    assert "not finite in torch.float16; computed again in float32" in heard.texts[0]
    assert live.vae.dtype == torch.float16, "the shared VAE is left alone"
    expected = LiveVae(AutoencoderKL.from_config(live.vae.config).eval())
    expected.vae.load_state_dict({name: tensor.float() for name, tensor in live.vae.state_dict().items()})
    assert image == decode(expected, latents(2))


def test_encoding_is_done_again_too() -> None:
    heard = Heard()
    assert torch.isfinite(to_tensor(encode(half_vae(), picture(), host=heard).samples)).all()
    assert len(heard.texts) == 1


def test_finite_in_half_precision_is_left_alone() -> None:
    heard = Heard()
    decode(LiveVae(vae().half()), latents(), host=heard)
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


class Small:
    """Makes a part of a VAE run out of memory, `times` times, where its input has an edge longer than `most`."""

    def __init__(self, times: int, most: int = 0) -> None:
        self.left = times
        self.most = most

    def __call__(self, _module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if self.left and max(inputs[0].shape[-2:]) > self.most:
            self.left -= 1
            raise torch.OutOfMemoryError("out of memory")


def small_decoder(small: Small) -> LiveVae:
    own = vae()
    own.decoder.register_forward_pre_hook(small)
    return LiveVae(own)


def small_encoder(small: Small) -> LiveVae:
    own = vae()
    own.encoder.register_forward_pre_hook(small)
    return LiveVae(own)


def test_what_does_not_fit_is_done_again_without_idle_models(live: LiveVae) -> None:
    heard = Heard()
    assert decode(small_decoder(Small(times=1)), latents(), host=heard) == decode(live, latents())
    assert encode(small_encoder(Small(times=1)), picture(), host=heard) == encode(live, picture())
    assert (heard.rooms, heard.texts, heard.makeshifts) == (2, [], [])


def test_what_never_fits_whole_is_a_makeshift_of_tiles(live: LiveVae) -> None:
    heard = Heard()
    image = decode(small_decoder(Small(times=99, most=64)), latents(edge=72), host=heard)
    assert image == decode(live, latents(edge=72), tile=512)
    assert heard.makeshifts == ["the decoded picture did not fit into memory whole; it is made of tiles of 512 pixels"]
    assert heard.rooms == 2
    encoded = encode(small_encoder(Small(times=99, most=512)), picture(520, 520), host=heard)
    assert encoded == encode(live, picture(520, 520), tile=512)
    assert len(heard.makeshifts) == 2


@pytest.mark.parametrize("tile", [None, 256])
def test_what_does_not_even_fit_in_tiles_is_an_error_that_says_what_to_do(tile: int | None) -> None:
    with pytest.raises(NovaError, match="ran out of memory computing the decoded picture") as caught:
        decode(small_decoder(Small(times=99)), latents(), tile=tile)
    assert "Make the picture smaller" in caught.value.hint
    cause = caught.value.__cause__
    assert isinstance(cause, torch.OutOfMemoryError)
    assert cause.__traceback__ is None, "it would keep what the attempt held in memory"


def test_cancel_is_heard_between_pictures(live: LiveVae) -> None:
    turns = iter([None, Cancelled()])

    class Stopping(Alone):
        def check(self) -> None:
            turn = next(turns)
            if turn is not None:
                raise turn

    with pytest.raises(Cancelled):
        decode(live, latents(2), host=Stopping())
