"""Upscalers: what spandrel computes, whole or in tiles, and which files are refused."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from spandrel import ModelLoader
from spandrel.architectures.AuraSR import AuraSR

from engine.errors import AssetRefused, Cancelled, NovaError
from nodes.sdxl.arrays import from_tensor, to_tensor
from nodes.sdxl.pool import weight_bytes
from nodes.sdxl.room import Alone
from nodes.sdxl.upscale import OVERLAP, stretches, upscale
from nodes.sdxl.upscaler import LiveUpscaler
from nodes.values import Image
from tests.nodes.sdxl.upscalers import compact, esrgan, upscaler, written

Tensors = dict[str, torch.Tensor]


@dataclass
class Watching(Alone):
    steps: list[tuple[int, int]] = field(default_factory=list)
    makeshifts: list[str] = field(default_factory=list)
    rooms: int = 0
    stop_after: int | None = None

    def progress(self, step: int, total: int) -> None:
        self.steps.append((step, total))

    def check(self) -> None:
        if self.stop_after is not None and len(self.steps) >= self.stop_after:
            raise Cancelled

    def make_room(self) -> None:
        self.rooms += 1

    def makeshift(self, text: str) -> None:
        self.makeshifts.append(text)


def picture(height: int, width: int, batch: int = 1) -> Image:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, height, width, 3)
    return Image(from_tensor(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)), tuple(range(batch)))


def by_spandrel(path: Path, image: Image) -> torch.Tensor:
    """Return what spandrel makes of a whole picture, U8 [1, height, width, 3]."""
    unit = to_tensor(image.pixels).permute(0, 3, 1, 2).float() / 255
    made: torch.Tensor = ModelLoader().load_from_file(path).eval()(unit)
    return (made * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def difference(image: Image, expected: torch.Tensor) -> int:
    return int((to_tensor(image.pixels).int() - expected.int()).abs().max())


@pytest.mark.parametrize(
    ("tensors", "factor"),
    [(compact(2), 2), (compact(4), 4), (esrgan(2), 2), (esrgan(4), 4), (esrgan(2, unshuffled=2), 2)],
    ids=["compact 2", "compact 4", "esrgan 2", "esrgan 4", "esrgan unshuffled"],
)
@pytest.mark.parametrize("size", [(24, 40), (33, 19)])
def test_a_picture_in_one_tile_is_spandrels(
    tmp_path: Path, tensors: Tensors, factor: int, size: tuple[int, int]
) -> None:
    path = written(tmp_path / "x.safetensors", tensors)
    live = upscaler(path)
    image = picture(*size)
    made = upscale(live, image, tile=64, watch=Watching())
    assert (live.factor, made.pixels.shape) == (factor, (1, size[0] * factor, size[1] * factor, 3))
    assert difference(made, by_spandrel(path, image)) == 0
    assert len(set(made.pixels.data)) > 9, "the network drew something"


@pytest.mark.parametrize(
    "tensors", [compact(4), esrgan(2), esrgan(2, unshuffled=2)], ids=["compact", "esrgan", "esrgan unshuffled"]
)
@pytest.mark.parametrize(("size", "tile"), [((150, 97), 64), ((40, 200), 96), ((65, 64), 64)])
def test_tiles_cannot_be_told_from_the_whole(
    tmp_path: Path, tensors: Tensors, size: tuple[int, int], tile: int
) -> None:
    """Sums are rounded in another order: one number in ten thousand may be off by one."""
    path = written(tmp_path / "x.safetensors", tensors)
    image = picture(*size)
    watching = Watching()
    made = upscale(upscaler(path), image, tile=tile, watch=watching)
    assert len(watching.steps) > 1
    expected = by_spandrel(path, image)
    assert difference(made, expected) <= 1
    assert float((to_tensor(made.pixels) != expected).float().mean()) < 1e-4


@pytest.mark.parametrize("length", [1, 31, 64, 65, 97, 300])
@pytest.mark.parametrize("factor", [1, 4])
def test_shares_add_up_to_one_and_neighbours_overlap(length: int, factor: int) -> None:
    parts = stretches(length, 64, factor)
    total = torch.zeros(length * factor)
    for part in parts:
        assert part.stop - part.start <= 64
        total[part.start * factor : part.stop * factor] += part.share
    torch.testing.assert_close(total, torch.ones(length * factor))
    for before, after in pairwise(parts):
        assert before.stop - after.start >= OVERLAP
        assert float(after.share[0]) == float(before.share[-1]) == 0


def test_every_picture_of_a_batch_is_as_alone_and_every_tile_is_told(tmp_path: Path) -> None:
    live = upscaler(written(tmp_path / "x.safetensors", compact(2)))
    both, watching = picture(80, 40, batch=2), Watching()
    made = upscale(live, both, tile=64, watch=watching)
    assert watching.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert made.seeds == both.seeds == (0, 1)
    second = Image(from_tensor(to_tensor(both.pixels)[1:]))
    assert made.pixels.data.endswith(upscale(live, second, tile=64, watch=Watching()).pixels.data)


def test_cancel_is_heard_between_tiles(tmp_path: Path) -> None:
    live = upscaler(written(tmp_path / "x.safetensors", compact(2)))
    watching = Watching(stop_after=1)
    with pytest.raises(Cancelled):
        upscale(live, picture(120, 40), tile=64, watch=watching)
    assert watching.steps == [(1, 3)]


def short_of_memory(live: LiveUpscaler, most: int, times: int) -> LiveUpscaler:
    """Return an upscaler that runs out of memory, `times` times, with tiles of more than `most` pixels."""
    left = times

    def enlarge(unit: torch.Tensor) -> torch.Tensor:
        nonlocal left
        if left and max(unit.shape[-2:]) > most:
            left -= 1
            raise torch.OutOfMemoryError("out of memory")
        return live.enlarge(unit)

    return replace(live, enlarge=enlarge)


def test_a_tile_that_does_not_fit_is_done_again_without_idle_models(tmp_path: Path) -> None:
    live = upscaler(written(tmp_path / "x.safetensors", compact(2)))
    watching = Watching()
    made = upscale(short_of_memory(live, most=0, times=1), picture(80, 80), tile=128, watch=watching)
    assert made == upscale(live, picture(80, 80), tile=128, watch=Watching())
    assert (watching.rooms, watching.makeshifts) == (1, [])


def test_smaller_tiles_are_a_makeshift(tmp_path: Path) -> None:
    live = upscaler(written(tmp_path / "x.safetensors", esrgan(2)))
    watching = Watching()
    made = upscale(short_of_memory(live, most=96, times=99), picture(150, 97), tile=192, watch=watching)
    assert made == upscale(live, picture(150, 97), tile=96, watch=Watching())
    assert watching.makeshifts == [
        "tiles of 192 pixels did not fit into memory; the picture is made of tiles of 96",
    ]


def test_what_does_not_even_fit_in_small_tiles_is_an_error(tmp_path: Path) -> None:
    live = upscaler(written(tmp_path / "x.safetensors", compact(2)))
    watching = Watching()
    with pytest.raises(NovaError, match="ran out of memory making a picture larger in tiles of 64 pixels"):
        upscale(short_of_memory(live, most=0, times=99), picture(40, 40), tile=256, watch=watching)
    assert len(watching.makeshifts) == 2


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    tensors = compact(2)
    tensors["body.0.bias"] = torch.full_like(tensors["body.0.bias"], torch.nan)
    live = upscaler(written(tmp_path / "x.safetensors", tensors))
    with pytest.raises(NovaError, match=r"not finite at pixel \(0, 0\)"):
        upscale(live, picture(40, 40), tile=64, watch=Watching())


def test_half_precision_files_are_loaded_in_single_precision(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in esrgan(2).items()}
    live = upscaler(written(tmp_path / "x.safetensors", half))
    assert {parameter.dtype for parameter in live.network.parameters()} == {torch.float32}
    assert weight_bytes(live) == 4 * sum(tensor.nelement() for tensor in half.values())
    assert not any(parameter.requires_grad for parameter in live.network.parameters())


def test_loading_draws_nothing_from_the_processes_generator(tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", esrgan(2))
    before = torch.get_rng_state()
    upscaler(path)
    assert torch.equal(torch.get_rng_state(), before)


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: tensor for key, tensor in tensors.items() if key != name}


def noisy() -> Tensors:
    """Return the weights of the smallest AuraSR, which adds noise to pictures."""
    network = AuraSR(
        dim=8,
        image_size=None,
        input_image_size=None,
        style_network={"dim_in": 8, "dim_out": 32, "depth": 2},
        up_dim_mults=(1, 1, 1, 1, 1),
        down_dim_mults=(1, 1, 1),
        full_attn=(False, False, False, False, False),
        self_attn_dim_head=8,
        attn_depths=(1, 1, 1, 1, 1),
        mid_attn_depth=1,
        num_conv_kernels=2,
    )
    return dict(network.state_dict())


REFUSED: list[tuple[str, Callable[[], Tensors], str]] = [
    ("another model", lambda: {"encoder.weight": torch.zeros(3)}, "no known architecture"),
    ("nothing in it", dict, "no known architecture"),
    ("a tensor missing", lambda: without(compact(2), "body.2.weight"), "no whole upscaler"),
    ("grey pictures", lambda: compact(2, channels=1), "from 1 to 1 channels, not for RGB"),
    ("factor 1", lambda: compact(1), r"another purpose \(Restoration, factor 1\)"),
    ("noise of its own", noisy, "architecture AuraSR, which draws with noise of its own"),
    ("endless blocks", lambda: compact(2) | {"body.999999999.weight": torch.zeros(1)}, "counts beyond 1,000 blocks"),
    ("a number without end", lambda: compact(2) | {f"body.{'9' * 5000}.weight": torch.zeros(1)}, "counts beyond 1,000"),
    ("a number in disguise", lambda: compact(2) | {"body. +9_999 .weight": torch.zeros(1)}, "counts beyond 1,000"),
    ("absurd width", lambda: compact(2) | {"body.0.weight": torch.zeros(2**16, 3, 1, 1)}, "far larger network"),
    ("no shape", lambda: compact(2) | {"body.0.weight": torch.zeros(())}, "no whole upscaler"),
]


@pytest.mark.parametrize(("make", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_files_that_are_no_upscalers_are_refused(tmp_path: Path, make: Callable[[], Tensors], why: str) -> None:
    path = written(tmp_path / "x.safetensors", make())
    with pytest.raises(AssetRefused, match=why) as caught:
        upscaler(path)
    assert "docs/checkpoints.md" in caught.value.hint


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", compact(2))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AssetRefused, match="cannot be read"):
        upscaler(path)
