"""The Encoder node, alone, on the embedded checkpoint."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import as_file, files

import pytest
import torch
from pydantic import ValidationError

from engine.errors import Cancelled, NovaError
from engine.testing import QuietContext
from nodes.encoder import Encoder
from nodes.sdxl.pool import Pool
from nodes.values import Conditioning, TextEncoders
from tests.nodes.sdxl.loading import WEIGHTS, loading

NANO = TextEncoders(WEIGHTS)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    torch.set_num_threads(1)
    with as_file(files("nodes.sdxl").joinpath("nano/nova-nano.safetensors")) as path:
        yield Pool(10**9, loading(path))


@pytest.fixture
def ctx(pool: Pool) -> QuietContext:
    return QuietContext(pool=pool)


def encode(ctx: QuietContext, node: Encoder) -> Conditioning:
    return node.run(ctx).conditioning


def test_a_prompt_becomes_conditioning(ctx: QuietContext) -> None:
    conditioning = encode(ctx, Encoder(text_encoders=NANO, prompt="1girl, (blue hair:1.2)"))
    for prompted in (conditioning.positive, conditioning.negative):
        assert prompted.embeds.dtype == "F32"
        assert prompted.embeds.shape == (1, 77, 64 + 128)
        assert prompted.pooled.shape == (1, 128)
    assert conditioning.positive != conditioning.negative


def test_prepended_text_comes_first(ctx: QuietContext) -> None:
    apart = Encoder(
        text_encoders=NANO, prompt="1girl", prepend="masterpiece, ", negative="hat", negative_prepend="lowres"
    )
    whole = Encoder(text_encoders=NANO, prompt="masterpiece, 1girl", negative="lowres, hat")
    assert encode(ctx, apart) == encode(ctx, whole)


def test_the_options_reach_the_encoders(ctx: QuietContext) -> None:
    prompt = "1girl, (blue hair:0.5)"
    found = [
        encode(ctx, Encoder(text_encoders=NANO, prompt=prompt)),
        encode(ctx, Encoder(text_encoders=NANO, prompt=prompt, weighting="comfy")),
        encode(ctx, Encoder(text_encoders=NANO, prompt=prompt, weighting="a1111")),
        encode(ctx, Encoder(text_encoders=NANO, prompt=prompt, clip_skip=3)),
    ]
    assert len(set(found)) == len(found)


def test_it_can_be_cancelled(pool: Pool) -> None:
    with pytest.raises(Cancelled):
        encode(QuietContext(pool=pool, stop_after=0), Encoder(text_encoders=NANO, prompt="1girl"))


def test_a_layer_that_is_not_there_is_refused(ctx: QuietContext) -> None:
    with pytest.raises(NovaError, match="clip_skip is 4, but a text encoder of this checkpoint has only 3 layers"):
        encode(ctx, Encoder(text_encoders=NANO, prompt="1girl", clip_skip=4))


@pytest.mark.parametrize(
    "prompt",
    ["1girl, <lora:style:0.8>", "<LoRA: a b >", "<lyco:x:1>", "<lycoris:x>", "<hypernet:x:1>", "a < lora:unclosed"],
)
@pytest.mark.parametrize("port", ["prompt", "negative", "prepend", "negative_prepend"])
def test_adapter_tags_are_refused_before_anything_runs(prompt: str, port: str) -> None:
    with pytest.raises(ValidationError, match=r"cannot load adapters: take .* out of the text"):
        Encoder(text_encoders=NANO, **{"prompt": "1girl", port: prompt})  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", ["<3 lora: a love story", "a<b>c", "lora:x", "<" * 100_000, "< " * 50_000])
def test_text_that_is_no_tag_is_taken(prompt: str) -> None:
    assert Encoder(text_encoders=NANO, prompt=prompt).prompt == prompt


def test_the_length_of_a_prompt_is_bounded() -> None:
    with pytest.raises(ValidationError, match="at most 100000 characters"):
        Encoder(text_encoders=NANO, prompt="a" * 100_001)


def test_each_kind_of_foreign_syntax_is_told_of_once(ctx: QuietContext) -> None:
    prompt, negative = "1girl, __hair__ AND __eyes__, [smile]", "{bad|worse}, {a|b}, __hands__"
    encode(ctx, Encoder(text_encoders=NANO, prompt=prompt, negative=negative))
    assert [text.split(" in the prompt: ")[0] for text in ctx.warnings] == ['"AND"', '"__hair__"', '"{bad|worse}"']


def test_the_weighting_says_what_is_foreign(ctx: QuietContext) -> None:
    encode(ctx, Encoder(text_encoders=NANO, prompt="[red:blue:0.5] hair AND hat", weighting="comfy"))
    assert ctx.warnings == []


@pytest.mark.parametrize("clip_skip", [0, 13])
def test_clip_skip_is_bounded(clip_skip: int) -> None:
    with pytest.raises(ValidationError, match="clip_skip"):
        Encoder(text_encoders=NANO, prompt="1girl", clip_skip=clip_skip)


def test_it_is_declared_without_heavy_imports() -> None:
    program = (
        "import sys, nodes.encoder, nodes.prompts\n"
        "print([name for name in ('torch', 'transformers', 'compel', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
