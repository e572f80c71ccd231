"""Embeddings stand in prompts as diffusers has them, and no file passes that is none for SDXL."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from engine.assets import Asset, Found
from engine.errors import AssetError, AssetRefused, NovaError
from engine.testing import QuietContext
from nodes.embedding import Embedding
from nodes.encoder import Encoder
from nodes.sdxl.arrays import to_tensor
from nodes.sdxl.embedding_file import inspect_embedding
from nodes.sdxl.pool import Pool
from nodes.sdxl.prompt import Weighting, encode_conditioning
from nodes.sdxl.text import LiveTextEncoders, load_text_encoders
from nodes.values import LearnedWord, TextEncoders, Weights
from tests.nodes.sdxl.loading import WEIGHTS, FileLoading
from tests.tiny import Tiny, text_encoders, tiny, write_checkpoint
from tools.single_file import write_safetensors

NEG = Weights("1" * 64, "neg.safetensors")
CAT = Weights("2" * 64, "cat.safetensors")
WEIGHTINGS: tuple[Weighting, ...] = ("compel", "comfy", "a1111")
WIDTHS = (16, 32)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def vectors(count: int, seed: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clip_l, clip_g = (torch.randn(count, width, generator=generator) * 0.02 for width in WIDTHS)
    return {"clip_l": clip_l, "clip_g": clip_g}


def of_word(word: str) -> dict[str, torch.Tensor]:
    """Return the vectors that both encoders have for the one token of a word."""
    live = text_encoders()
    (number,) = live.tokenizer(word, add_special_tokens=False).input_ids
    models = (live.text_encoder, live.text_encoder_2)
    clip_l, clip_g = (model.get_input_embeddings().weight[number][None].detach().clone() for model in models)
    return {"clip_l": clip_l, "clip_g": clip_g}


def write(path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    write_safetensors(path, dict(tensors), {})
    return path


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> FileLoading:
    folder = tmp_path_factory.mktemp("embeddings")
    return FileLoading(
        {
            WEIGHTS.sha256: write_checkpoint(folder / "tiny.safetensors"),
            NEG.sha256: write(folder / NEG.name, vectors(3)),
            CAT.sha256: write(folder / CAT.name, of_word("cat")),
        }
    )


@pytest.fixture(scope="module")
def live(where: FileLoading) -> LiveTextEncoders:
    return load_text_encoders(TextEncoders(WEIGHTS, words=(LearnedWord("neg", NEG), LearnedWord("kitty", CAT))), where)


def encode(live: LiveTextEncoders, text: str, weighting: Weighting = "compel", clip_skip: int = 2) -> torch.Tensor:
    return to_tensor(encode_conditioning(live, text, "", weighting=weighting, clip_skip=clip_skip).positive.embeds)


def pipeline(parts: Tiny) -> StableDiffusionXLPipeline:
    """Return diffusers' pipeline with the embedding `neg` loaded into both encoders, as its guide does for SDXL."""
    theirs = parts.pipeline()
    for name, model, tokenizer in (
        ("clip_l", theirs.text_encoder, theirs.tokenizer),
        ("clip_g", theirs.text_encoder_2, theirs.tokenizer_2),
    ):
        theirs.load_textual_inversion(vectors(3)[name], token="neg", text_encoder=model, tokenizer=tokenizer)
    return theirs


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_prompt_with_an_embedding_equals_the_classic_pipeline(live: LiveTextEncoders, weighting: Weighting) -> None:
    theirs = pipeline(tiny()).encode_prompt("a blue neg cat, smile", negative_prompt="neg", device="cpu")
    ours = encode_conditioning(live, "a blue embedding:neg cat, smile", "embedding:neg", weighting=weighting)
    found = (ours.positive.embeds, ours.negative.embeds, ours.positive.pooled, ours.negative.pooled)
    for array, expected in zip(found, theirs, strict=True):
        assert torch.equal(to_tensor(array), expected)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("prompt", ["a blue {}, smile", "({}:1.3) face", "(a {}:0.5)", "red " * 74 + "{} hair"])
@pytest.mark.parametrize("clip_skip", [1, 2])
def test_the_vectors_of_a_word_are_that_word(
    live: LiveTextEncoders, prompt: str, weighting: Weighting, clip_skip: int
) -> None:
    found, same, other = (
        encode(live, prompt.format(word), weighting, clip_skip) for word in ("embedding:kitty", "cat", "girl")
    )
    assert torch.equal(found, same)
    assert not torch.equal(found, other)


@pytest.mark.parametrize("weighting", ["compel", "a1111"])
def test_the_bare_word_does_the_same(live: LiveTextEncoders, weighting: Weighting) -> None:
    assert torch.equal(encode(live, "red, (Neg:1.2)", weighting), encode(live, "red, (embedding:neg:1.2)", weighting))


def test_the_bare_word_is_text_in_comfy(live: LiveTextEncoders) -> None:
    assert not torch.equal(encode(live, "red, neg", "comfy"), encode(live, "red, embedding:neg", "comfy"))


def test_a_weight_acts_on_all_vectors(live: LiveTextEncoders) -> None:
    plain, empty = encode(live, "a embedding:neg cat", "comfy"), encode(live, "", "comfy")
    weights = torch.tensor([1.0, 1, 1.4, 1.4, 1.4, *[1] * 72])[None, :, None]
    expected = torch.where(weights == 1, plain, (plain - empty) * weights + empty)
    assert torch.equal(encode(live, "a (embedding:neg:1.4) cat", "comfy"), expected)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_what_is_left_out_leaves_nothing_behind(live: LiveTextEncoders, weighting: Weighting) -> None:
    assert torch.equal(encode(live, "red embedding:worse hair", weighting), encode(live, "red hair", weighting))


@pytest.mark.parametrize("weighting", ["compel", "a1111"])
def test_vectors_that_do_not_fit_go_to_the_next_chunk_together(live: LiveTextEncoders, weighting: Weighting) -> None:
    before = "cat " * 73
    expected = [encode(live, text, weighting) for text in (before, "embedding:neg hair")]
    assert torch.equal(encode(live, f"{before} embedding:neg hair", weighting), torch.cat(expected, dim=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read(tmp_path: Path, where: FileLoading, dtype: torch.dtype) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in vectors(2).items()}
    there = FileLoading({**where.files, NEG.sha256: write(tmp_path / "neg.safetensors", tensors)})
    loaded = load_text_encoders(TextEncoders(WEIGHTS, words=(LearnedWord("neg", NEG),)), there)
    (table, table_2) = (model.get_input_embeddings().weight for model in (loaded.text_encoder, loaded.text_encoder_2))
    assert torch.equal(table[-2:], tensors["clip_l"].float())
    assert torch.equal(table_2[-2:], tensors["clip_g"].float())
    assert loaded.words["neg"] == (len(table) - 2, len(table) - 1)


def test_the_names_of_diffusers_advanced_training_are_known(tmp_path: Path) -> None:
    tensors = {"text_encoders_0": torch.ones(2, 16), "text_encoders_1": torch.ones(2, 32)}
    file = inspect_embedding(write(tmp_path / "neg.safetensors", tensors))
    assert (file.tensors, file.vectors, file.widths) == (("text_encoders_0", "text_encoders_1"), 2, WIDTHS)


ZEROS = torch.zeros
REFUSED = {
    "is a Stable Diffusion 1.5 embedding, not SDXL": {"emb_params": ZEROS(8, 768)},
    "is a Stable Diffusion 1.5": {"<neg>": ZEROS(768)},
    "is a Stable Diffusion 2.x embedding, not SDXL": {"emb_params": ZEROS(8, 1024)},
    "it lacks clip_g, the vectors for the other": {"clip_l": ZEROS(8, 16)},
    "it lacks clip_l, the vectors for the other": {"clip_g": ZEROS(8, 1280)},
    "is a LoRA, not an embedding": {"lora_unet_x.lora_down.weight": ZEROS(1, 1)},
    "it has no tensors clip_l and clip_g": {"model.diffusion_model.x": ZEROS(1, 768, 1)},
    "has 8 vectors for the first text encoder and 7 for the second": {"clip_l": ZEROS(8, 16), "clip_g": ZEROS(7, 32)},
    "has 76 vectors, where 1 to 75 fit": {"clip_l": ZEROS(76, 16), "clip_g": ZEROS(76, 32)},
    "has 0 vectors, where 1 to 75 fit": {"clip_l": ZEROS(0, 16), "clip_g": ZEROS(0, 32)},
    r"is damaged: clip_g is F32 \[1, 2, 32\], not a row": {"clip_l": ZEROS(2, 16), "clip_g": ZEROS(1, 2, 32)},
    r"is damaged: clip_l is I64 \[2, 16\], not a row": {"clip_l": ZEROS(2, 16).long(), "clip_g": ZEROS(2, 32)},
}


@pytest.mark.parametrize(("said", "tensors"), REFUSED.items(), ids=range(len(REFUSED)))
def test_a_file_that_is_no_sdxl_embedding_is_refused(
    tmp_path: Path, said: str, tensors: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(AssetRefused, match=said):
        inspect_embedding(write(tmp_path / "neg.safetensors", tensors))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (
            {"clip_l": ZEROS(2, 768), "clip_g": ZEROS(2, 1280)},
            "vectors of 768 and 1280 numbers, where .* take 16 and 32",
        ),
        ({**vectors(2), "clip_g": torch.full((2, 32), torch.nan)}, "numbers in it that are infinite or none"),
        ({**vectors(2), "clip_l": torch.full((2, 16), torch.inf)}, "numbers in it that are infinite or none"),
        ({**vectors(2), "clip_l": torch.full((2, 16), 1e300, dtype=torch.float64)}, "become so in torch.float32"),
    ],
)
def test_vectors_that_do_not_fit_the_encoders_are_refused(
    tmp_path: Path, where: FileLoading, tensors: dict[str, torch.Tensor], said: str
) -> None:
    there = FileLoading({**where.files, NEG.sha256: write(tmp_path / "neg.safetensors", tensors)})
    with pytest.raises(AssetRefused, match=said):
        load_text_encoders(TextEncoders(WEIGHTS, words=(LearnedWord("neg", NEG),)), there)


def run_node(where: FileLoading, handle: TextEncoders, word: str, weights: Weights | None = NEG) -> TextEncoders:
    path = where.files[weights.sha256] if weights else None
    found = Found(Asset("embedding", "neg"), path, weights.sha256 if weights else "")
    node = Embedding(text_encoders=handle, embedding="neg", word=word)
    return node.run(QuietContext(assets={"embedding": found})).text_encoders


def test_the_node_teaches_words_one_after_the_other(where: FileLoading) -> None:
    first = run_node(where, TextEncoders(WEIGHTS), "neg")
    assert first == TextEncoders(WEIGHTS, words=(LearnedWord("neg", NEG),))
    assert run_node(where, first, "other").words == (LearnedWord("neg", NEG), LearnedWord("other", NEG))
    assert run_node(where, first, "other", None) == first
    with pytest.raises(NovaError, match="already have an embedding under the word Neg"):
        run_node(where, first, "Neg", CAT)


def test_the_node_refuses_what_is_no_embedding(where: FileLoading) -> None:
    with pytest.raises(AssetRefused, match="is not an SDXL embedding"):
        run_node(where, TextEncoders(WEIGHTS), "neg", WEIGHTS)


@pytest.mark.parametrize(
    "word", ["", "two words", "a,b", "(a)", "a:b", "-a", "a.", "sub/a", "n\u00e9g", "a" * 101, "a\n"]
)
def test_a_word_ends_where_a_prompt_ends_it(word: str) -> None:
    with pytest.raises(ValueError, match="word"):
        Embedding(text_encoders=TextEncoders(WEIGHTS), embedding="neg", word=word)


def test_the_encoder_tells_of_embeddings_that_nobody_taught(where: FileLoading) -> None:
    ctx = QuietContext(pool=Pool(10**9, where))
    handle = TextEncoders(WEIGHTS, words=(LearnedWord("neg", NEG),))
    Encoder(text_encoders=handle, prompt="a cat", negative="embedding:neg, embedding:worse").run(ctx)
    (told,) = ctx.warnings
    assert told.startswith('"embedding:worse" in the prompt: no Embedding node gives')


def test_a_file_that_is_gone_is_missed(where: FileLoading) -> None:
    handle = TextEncoders(WEIGHTS, words=(LearnedWord("neg", Weights("9" * 64, "gone.safetensors")),))
    with pytest.raises(AssetError):
        load_text_encoders(handle, where)
