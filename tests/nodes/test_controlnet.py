"""The ControlNet node, and what samplers make of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from engine.assets import Asset, Found
from engine.environment import Environment
from engine.errors import AssetRefused, Cancelled, NovaError
from engine.testing import QuietContext
from nodes.controlnet import ControlNet
from nodes.face_detailer import FaceDetailer
from nodes.sampler import Sampler
from nodes.sdxl.arrays import to_tensor
from nodes.sdxl.pool import Pool
from nodes.values import Box, Boxes, Control, ControlNetwork, Image, Model, Vae, Weights
from tests.nodes.sdxl.controls import NETWORK, control_net, hint, told, union_net, write_control_net
from tests.nodes.sdxl.loading import WEIGHTS, FileLoading
from tests.nodes.sdxl.sampling import conditioning, picture
from tests.tiny import write_checkpoint
from tools.single_file import write_safetensors

MODEL = Model(WEIGHTS, (64, 64))
SECOND = Weights("3" * 64, "depth.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("controls")
    write_checkpoint(folder / WEIGHTS.name)
    write_control_net(folder / NETWORK.name, control_net())
    write_control_net(folder / SECOND.name, control_net(1))
    return folder


@pytest.fixture(scope="module")
def pool(folder: Path) -> Pool:
    return pool_of(folder)


def pool_of(folder: Path, dtype: str = "float32") -> Pool:
    files = {weights.sha256: folder / weights.name for weights in (WEIGHTS, NETWORK, SECOND)}
    return Pool(10**9, FileLoading(files, Environment(dtype=dtype)))


def controlled(
    folder: Path, image: Image, weights: Weights = NETWORK, model: Model = MODEL, **options: float | str
) -> Model:
    """Return what the node makes of a model."""
    found = Found(Asset("controlnet", "lines"), folder / weights.name, weights.sha256)
    node = ControlNet.model_validate({"model": model, "image": image, "controlnet": "lines", **options})
    return node.run(QuietContext(assets={"controlnet": found})).model


def sampled(pool: Pool, model: Model, **inputs: object) -> torch.Tensor:
    """Return what the sampler draws in a few steps."""
    node = Sampler.model_validate({"model": model, "conditioning": conditioning(), "steps": 3, **inputs})
    return to_tensor(node.run(QuietContext(pool=pool)).latents.samples)


def test_it_adds_to_the_model_and_loads_nothing(folder: Path) -> None:
    first, second = hint(), hint(seed=1)
    model = controlled(folder, first, strength=0.5, start=0.25, end=0.75)
    model = controlled(folder, second, SECOND, model)
    assert model == replace(
        MODEL,
        controls=(
            Control(ControlNetwork(NETWORK), first, 0.5, 0.25, 0.75),
            Control(ControlNetwork(SECOND), second, 1.0, 0.0, 1.0),
        ),
    )
    assert model.uncontrolled == MODEL


def test_turned_off_it_adds_nothing(folder: Path) -> None:
    assert controlled(folder, hint(), strength=0.0) == MODEL
    none = Found(Asset("controlnet", "none"), None, "")
    node = ControlNet(model=MODEL, image=hint(), controlnet="none")
    assert node.run(QuietContext(assets={"controlnet": none})).model == MODEL


def test_a_file_that_is_none_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    write_safetensors(tmp_path / NETWORK.name, {"lllite_unet.down.0.weight": torch.zeros(1)}, {})
    with pytest.raises(AssetRefused, match=r"lines\.safetensors is a ControlNet-LLLite"):
        controlled(tmp_path, hint(), strength=0.0)


@pytest.fixture(scope="module")
def unions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a union ControlNet of six kinds, and one of eight."""
    folder = tmp_path_factory.mktemp("unions")
    write_checkpoint(folder / WEIGHTS.name)
    write_control_net(folder / NETWORK.name, union_net(kinds=6))
    write_control_net(folder / SECOND.name, union_net(kinds=8))
    return folder


def test_a_union_is_told_by_number_what_the_picture_is(unions: Path) -> None:
    kinds = ("openpose", "depth", "soft_edge", "line", "normal", "segment", "tile")
    models = [controlled(unions, hint(), SECOND, kind=kind) for kind in kinds]
    assert [model.controls[0].kind for model in models] == list(range(7))


def test_a_union_draws_otherwise_for_another_kind(unions: Path) -> None:
    pool = pool_of(unions)
    line = sampled(pool, controlled(unions, hint(), kind="line"))
    assert torch.equal(line, sampled(pool, controlled(unions, hint(), kind="line")))
    assert not torch.equal(line, sampled(pool, controlled(unions, hint(), kind="depth")))


def test_a_kind_that_a_control_net_does_not_know_is_told(folder: Path, unions: Path) -> None:
    with pytest.raises(NovaError, match="follows one kind of pictures and cannot be told") as caught:
        controlled(folder, hint(), kind="line")
    assert "Leave kind out" in caught.value.hint
    with pytest.raises(NovaError, match=r"lines\.safetensors is a union ControlNet, which must be told") as caught:
        controlled(unions, hint())
    assert "openpose, depth, soft_edge, line, normal or segment" in caught.value.hint
    with pytest.raises(NovaError, match=r"lines\.safetensors does not know the kind tile") as caught:
        controlled(unions, hint(), kind="tile")
    assert "ProMax" in caught.value.hint


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.6, 0.5), (0.0, 0.0)])
def test_it_cannot_end_before_it_begins(start: float, end: float, folder: Path) -> None:
    with pytest.raises(NovaError, match="so it would do nothing"):
        controlled(folder, hint(), start=start, end=end)


@pytest.mark.parametrize(("port", "value"), [("strength", -0.1), ("strength", 10.1), ("start", -0.1), ("end", 1.1)])
def test_bounds(port: str, value: float) -> None:
    with pytest.raises(ValidationError, match=port):
        ControlNet.model_validate({"model": MODEL, "image": hint(), "controlnet": "lines", port: value})


def test_the_picture_and_the_strength_make_a_difference(pool: Pool, folder: Path) -> None:
    plain = sampled(pool, MODEL)
    drawings = [
        sampled(pool, controlled(folder, hint())),
        sampled(pool, controlled(folder, hint(seed=1))),
        sampled(pool, controlled(folder, hint(), strength=0.5)),
        sampled(pool, controlled(folder, hint(), SECOND)),
        plain,
    ]
    assert len({drawing.numpy().tobytes() for drawing in drawings}) == len(drawings)
    assert torch.equal(sampled(pool, MODEL), plain)


def test_every_picture_of_a_batch_follows_its_own(pool: Pool, folder: Path) -> None:
    pictures = hint(batch=3)
    size = len(pictures.pixels.data) // 3
    together = sampled(pool, controlled(folder, pictures), count=3, seed=7)
    for k in range(3):
        pixels = replace(pictures.pixels, shape=(1, 64, 64, 3), data=pictures.pixels.data[k * size : (k + 1) * size])
        alone = sampled(pool, controlled(folder, Image(pixels)), seed=7 + k)
        assert torch.equal(together[k : k + 1], alone)


@pytest.mark.parametrize("hints", [1, 3])
def test_micro_batches_differ_by_rounding_only(hints: int, pool: Pool, folder: Path) -> None:
    model = controlled(folder, hint(batch=hints))
    start = {"latents": picture(batch=3), "denoise": 0.7, "count": 3, "sampler": "euler"}
    alone, together = sampled(pool, model, **start), sampled(pool, model, micro_batch=2, **start)
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("hints", [2, 4])
def test_another_number_of_pictures_is_an_error(hints: int, pool: Pool, folder: Path) -> None:
    model = controlled(folder, hint(batch=hints))
    with pytest.raises(NovaError, match=rf"lines\.safetensors has {hints} pictures to follow, but 3 are drawn"):
        sampled(pool, model, count=3)


def test_the_unet_is_loaded_once_and_the_network_beside_it(folder: Path) -> None:
    pool = pool_of(folder)
    sampled(pool, MODEL)
    sampled(pool, controlled(folder, hint()))
    sampled(pool, controlled(folder, hint(seed=1), SECOND, controlled(folder, hint(seed=1))))
    assert {resident.handle for resident in pool.report()} == {MODEL, ControlNetwork(NETWORK), ControlNetwork(SECOND)}
    assert all(resident.nbytes > 0 and resident.users == 0 for resident in pool.report())


def test_it_works_in_half_precision(folder: Path) -> None:
    pool = pool_of(folder, "bfloat16")
    drawing = sampled(pool, controlled(folder, hint()))
    assert torch.isfinite(drawing).all()
    assert not torch.equal(drawing, sampled(pool, MODEL))


def test_numbers_that_are_none_are_told(folder: Path, tmp_path: Path) -> None:
    network = control_net()
    network.controlnet_mid_block.bias.fill_(torch.nan)
    write_control_net(tmp_path / NETWORK.name, network)
    write_checkpoint(tmp_path / WEIGHTS.name)
    with pytest.raises(NovaError, match="the latents stopped being finite numbers in step 1 of 3"):
        sampled(pool_of(tmp_path), controlled(folder, hint()))


def test_it_stops_where_the_user_stops_it(pool: Pool, folder: Path) -> None:
    ctx = QuietContext(pool=pool, stop_after=2)
    node = Sampler(model=controlled(folder, hint()), conditioning=conditioning(), steps=3)
    with pytest.raises(Cancelled):
        node.run(ctx)
    assert [step for step, _ in ctx.steps] == [1, 2]
    assert len(ctx.previews) == 2
    assert all(resident.users == 0 for resident in pool.report())


def test_a_network_of_another_model_is_an_error(folder: Path, tmp_path: Path) -> None:
    metadata = {
        name: text.replace('"addition_time_embed_dim":8', '"addition_time_embed_dim":4')
        for name, text in told().items()
    }
    write_safetensors(tmp_path / NETWORK.name, control_net().state_dict(), metadata)
    write_checkpoint(tmp_path / WEIGHTS.name)
    with pytest.raises(NovaError, match=r"lines\.safetensors does not fit the model: its addition_time_embed_dim"):
        sampled(pool_of(tmp_path), controlled(folder, hint()))


def test_faces_do_not_follow(pool: Pool, folder: Path) -> None:
    def refined(model: Model) -> Image:
        boxes = Boxes(((Box(10, 10, 50, 50, 0.9),),))
        inputs = {"image": hint(), "boxes": boxes, "vae": Vae(WEIGHTS), "conditioning": conditioning(), "steps": 2}
        node = FaceDetailer.model_validate({**inputs, "model": model, "padding": 8})
        return node.run(QuietContext(pool=pool)).image

    plain = refined(MODEL)
    assert plain != hint()
    assert refined(controlled(folder, hint(seed=1))) == plain
