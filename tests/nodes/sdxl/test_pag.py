"""Perturbed-attention guidance changes a UNet only while it is in use."""

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor

from engine.errors import NovaError
from nodes.sdxl.denoise import denoise
from nodes.sdxl.model import LiveModel
from nodes.sdxl.pag import perturbed, self_attentions
from nodes.values import Guidance
from tests.nodes.sdxl.sampling import Watcher, drawn, request
from tests.tiny import scheduler, unet

ALL = ("down.1", "down.2", "mid", "up.0", "up.1")


@pytest.fixture(scope="module")
def live() -> LiveModel:
    torch.set_num_threads(1)
    return LiveModel(unet(), dict(scheduler().config))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("step", [1, 3])
def test_an_aborted_run_leaves_no_trace(live: LiveModel, error: type[BaseException], step: int) -> None:
    before = drawn(live)
    processors = dict(live.unet.attn_processors)

    def abort(done: int) -> None:
        if done == step:
            raise error

    with pytest.raises(error):
        denoise(live, request(guidance=Guidance(3.0, ALL)), Watcher(act=abort))
    after = live.unet.attn_processors
    assert all(after[name] is processor for name, processor in processors.items())
    assert torch.equal(drawn(live), before)
    assert not live.lock.locked()


def test_an_error_inside_the_unet_leaves_no_trace(live: LiveModel) -> None:
    before = drawn(live)

    def fail(module: object, inputs: object) -> None:
        raise RuntimeError("out of memory")

    handle = live.unet.up_blocks[0].register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            drawn(live, guidance=Guidance(3.0, ALL))
    finally:
        handle.remove()
    assert torch.equal(drawn(live), before)


def test_other_processors_are_kept_and_used() -> None:
    model = LiveModel(unet(), dict(scheduler().config))
    model.unet.set_attn_processor(AttnProcessor())
    before = drawn(model)
    guided = drawn(model, guidance=Guidance(3.0))
    assert not torch.equal(before, guided)
    assert all(type(processor) is AttnProcessor for processor in model.unet.attn_processors.values())
    torch.testing.assert_close(
        guided, drawn(LiveModel(unet(), model.scheduler_config), guidance=Guidance(3.0)), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("layer", [*ALL, "up.0.attentions.1", "mid.attentions.0.transformer_blocks.1"])
def test_each_layer_changes_the_picture(live: LiveModel, layer: str) -> None:
    assert not torch.equal(drawn(live), drawn(live, guidance=Guidance(3.0, (layer,))))


def test_a_layer_named_twice_is_perturbed_once(live: LiveModel) -> None:
    assert torch.equal(
        drawn(live, guidance=Guidance(3.0, ("mid",))), drawn(live, guidance=Guidance(3.0, ("mid", "mid")))
    )


def test_names_are_exact() -> None:
    model = unet()
    assert list(self_attentions(model, ["mid"])) == [
        f"mid_block.attentions.0.transformer_blocks.{number}.attn1" for number in range(2)
    ]
    assert list(self_attentions(model, ["up.1.attentions.2"])) == [
        "up_blocks.1.attentions.2.transformer_blocks.0.attn1"
    ]
    everything = [name.removesuffix(".processor") for name in model.attn_processors if ".attn1." in name]
    assert sorted(self_attentions(model, ALL)) == sorted(everything)


@pytest.mark.parametrize("layer", ["down.0", "up.2", "mi", "up.1.attentions.1x", "u", "", "mid.", ".*", "up.10"])
def test_an_unknown_layer_is_refused_with_a_list_of_the_known(live: LiveModel, layer: str) -> None:
    before = dict(live.unet.attn_processors)
    with pytest.raises(NovaError) as caught, perturbed(live.unet, ["mid", layer]):
        raise AssertionError("not reached")
    assert "down.1, down.1.attentions.0, down.1.attentions.1, down.2" in caught.value.hint
    assert "up.1.attentions.2" in caught.value.hint
    assert all(live.unet.attn_processors[name] is processor for name, processor in before.items())


def test_up_1_is_not_up_10() -> None:
    """A made-up tree of layers, since no SDXL has eleven blocks."""
    from diffusers.models.attention_processor import Attention

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attentions = torch.nn.ModuleList([torch.nn.ModuleDict({"attn1": Attention(4)})])

    class Tree(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up_blocks = torch.nn.ModuleList(Block() for _ in range(11))

    chosen = self_attentions(Tree(), ["up.1"])
    assert list(chosen) == ["up_blocks.1.attentions.0.attn1"]
