"""Prompts through both text encoders: equal to the classic pipeline, to Compel, and to the published formulas."""

import pytest
import torch
from compel import CompelForSDXL
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from nodes.prompts import PromptError, parse_prompt
from nodes.sdxl.arrays import to_tensor
from nodes.sdxl.prompt import Weighting, encode_conditioning
from nodes.sdxl.prompt.tokens import tokenize
from nodes.sdxl.text import LiveTextEncoders
from nodes.values import Conditioning
from tests.tiny import Tiny, text_encoders, tiny
from tests.tiny import tokenizer as make_tokenizer

WEIGHTINGS: tuple[Weighting, ...] = ("compel", "comfy", "a1111")
TokenWeights = list[tuple[str, float]]


@pytest.fixture(scope="module")
def whole() -> Tiny:
    torch.set_num_threads(1)
    return tiny()


@pytest.fixture(scope="module")
def live(whole: Tiny) -> LiveTextEncoders:
    return whole.text


def embed(live: LiveTextEncoders, text: str, weighting: Weighting = "compel", clip_skip: int = 2) -> torch.Tensor:
    conditioning = encode_conditioning(live, text, "", weighting=weighting, clip_skip=clip_skip)
    return to_tensor(conditioning.positive.embeds)


def pool(live: LiveTextEncoders, text: str, weighting: Weighting = "compel") -> torch.Tensor:
    return to_tensor(encode_conditioning(live, text, "", weighting=weighting).positive.pooled)


def reference_states(
    model: CLIPTextModel | CLIPTextModelWithProjection, tokenizer: CLIPTokenizer, words: TokenWeights
) -> tuple[torch.Tensor, torch.Tensor]:
    """Penultimate states [77, width] of a short prompt, and the weight [77, 1] of each token."""
    ids, weights = [tokenizer.bos_token_id], [1.0]
    for text, weight in words:
        tokens = tokenizer(text, add_special_tokens=False).input_ids
        ids += tokens
        weights += [weight] * len(tokens)
    ids.append(tokenizer.eos_token_id)
    ids += [tokenizer.pad_token_id] * (77 - len(ids))
    weights += [1.0] * (77 - len(weights))
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-2][0]
    return states, torch.tensor(weights)[:, None]


def both(live: LiveTextEncoders) -> list[tuple[CLIPTextModel | CLIPTextModelWithProjection, CLIPTokenizer]]:
    return [(live.text_encoder, live.tokenizer), (live.text_encoder_2, live.tokenizer_2)]


def encode_with_diffusers(whole: Tiny, prompt: str, negative: str) -> tuple[torch.Tensor, ...]:
    found: tuple[torch.Tensor, ...] = whole.pipeline().encode_prompt(prompt, negative_prompt=negative, device="cpu")
    return found


def tensors(conditioning: Conditioning) -> tuple[torch.Tensor, ...]:
    positive, negative = conditioning.positive, conditioning.negative
    return tuple(to_tensor(array) for array in (positive.embeds, negative.embeds, positive.pooled, negative.pooled))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("prompt", ["a blue cat, smile", "", "girl, red hair, a.b; it's 1+1 = 2?", "Grüße, 猫 🙂"])
def test_plain_prompts_equal_the_classic_pipeline(whole: Tiny, prompt: str, weighting: Weighting) -> None:
    found = tensors(encode_conditioning(whole.text, prompt, "bad face", weighting=weighting))
    for ours, theirs in zip(found, encode_with_diffusers(whole, prompt, "bad face"), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_weight_of_one_changes_no_bit(live: LiveTextEncoders, weighting: Weighting) -> None:
    assert torch.equal(embed(live, "a (blue:1.0) cat", weighting), embed(live, "a blue cat", weighting))


def test_comfy_equals_its_formula(live: LiveTextEncoders) -> None:
    words = [("a ", 1.0), ("blue", 1.3), (" cat ", 1.0), ("face", 0.4), (" ", 1.0), ("red", -1.0)]
    expected = []
    for model, tokenizer in both(live):
        states, weights = reference_states(model, tokenizer, words)
        empty, _ = reference_states(model, tokenizer, [])
        expected.append(torch.where(weights == 1, states, (states - empty) * weights + empty))
    found = embed(live, "a (blue:1.3) cat (face:0.4) (red:-1)", "comfy")
    assert torch.equal(found[0], torch.cat(expected, dim=-1))


def test_a1111_scales_and_restores_the_mean_of_each_encoder(live: LiveTextEncoders) -> None:
    words = [("a ", 1.0), ("blue", 1.3), (" cat ", 1.0), ("face", 1 / 1.1)]
    expected = []
    for model, tokenizer in both(live):
        states, weights = reference_states(model, tokenizer, words)
        expected.append(states * weights * (states.mean() / (states * weights).mean()))
    found = embed(live, "a (blue:1.3) cat [face]", "a1111")
    torch.testing.assert_close(found[0], torch.cat(expected, dim=-1))


def test_a1111_restores_the_mean_of_each_chunk_by_itself(live: LiveTextEncoders) -> None:
    together = embed(live, "(blue:1.5) cat BREAK red [face]", "a1111")
    assert torch.equal(together[:, :77], embed(live, "(blue:1.5) cat", "a1111"))
    assert torch.equal(together[:, 77:], embed(live, "red [face]", "a1111"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("a (blue:1.3) cat", "a (blue)1.3 cat"),
        ("a ((blue:1.5) hair:1.2), smile", "a ((blue)1.5 hair)1.2, smile"),
        ("a (blue:0.5) cat", "a (blue)0.5 cat"),
        ("a (blue:0.5) cat, (red hair:0.8), (smile:1.4)", "a (blue)0.5 cat, (red hair)0.8, (smile)1.4"),
        ("a (blue:0) cat", "a (blue)0.0 cat"),
    ],
)
def test_compel_equals_compel(whole: Tiny, ours: str, theirs: str) -> None:
    expected = CompelForSDXL(whole.pipeline())(theirs).embeds
    torch.testing.assert_close(embed(whole.text, ours), expected, rtol=0, atol=1e-6)
    assert not torch.equal(expected, embed(whole.text, "a blue cat"))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_three_weightings_differ(live: LiveTextEncoders, weighting: Weighting) -> None:
    others = [embed(live, "a (blue:0.5) cat", other) for other in WEIGHTINGS if other != weighting]
    assert not any(torch.equal(embed(live, "a (blue:0.5) cat", weighting), other) for other in others)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_pooled_is_that_of_the_plain_first_chunk(live: LiveTextEncoders, weighting: Weighting) -> None:
    plain = pool(live, "a blue cat", weighting)
    assert torch.equal(pool(live, "a (blue:1.4) cat", weighting), plain)
    assert not torch.equal(pool(live, "a red cat", weighting), plain)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_long_prompts_are_their_chunks_side_by_side(live: LiveTextEncoders, weighting: Weighting) -> None:
    first, second, third = "cat " * 74 + "cat", "red " * 74 + "red", "blue hair"
    found = embed(live, f"{first} {second} {third}", weighting)
    chunks = [embed(live, part, weighting) for part in (first, second, third)]
    assert found.shape[1] == 3 * 77
    assert torch.equal(found, torch.cat(chunks, dim=1))


def test_long_prompts_break_at_a_comma_except_in_comfy(live: LiveTextEncoders) -> None:
    head, tail = "cat " * 59 + "cat,", "red " * 19 + "red"
    found = embed(live, f"{head} {tail}", "a1111")
    assert torch.equal(found, torch.cat([embed(live, head), embed(live, tail)], dim=1))
    cut = torch.cat([embed(live, f"{head} {'red ' * 14}"), embed(live, "red " * 6)], dim=1)
    assert torch.equal(embed(live, f"{head} {tail}", "comfy"), cut)


def test_break_starts_a_new_chunk(live: LiveTextEncoders) -> None:
    found = embed(live, "blue hair BREAK red face")
    assert torch.equal(found, torch.cat([embed(live, "blue hair"), embed(live, "red face")], dim=1))
    assert torch.equal(pool(live, "blue hair BREAK red face"), pool(live, "blue hair"))


def test_break_is_text_in_comfy(live: LiveTextEncoders) -> None:
    assert embed(live, "blue hair BREAK red face", "comfy").shape[1] == 77


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_shorter_prompt_is_padded_with_empty_prompts(live: LiveTextEncoders, weighting: Weighting) -> None:
    short, long = "a (blue:1.2) cat", "bad, " * 80
    alone, empty = embed(live, short, weighting), embed(live, "", weighting)
    padded = torch.cat([alone, empty, empty], dim=1)
    forth = encode_conditioning(live, short, long, weighting=weighting)
    back = encode_conditioning(live, long, short, weighting=weighting)
    assert torch.equal(to_tensor(forth.positive.embeds), padded)
    assert forth.negative == back.positive
    assert forth.positive == back.negative


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_same_prompt_gives_the_same_bits(live: LiveTextEncoders, weighting: Weighting) -> None:
    prompt = "a (blue:1.3) cat, [smile], " * 30
    assert encode_conditioning(live, prompt, "bad", weighting=weighting) == encode_conditioning(
        live, prompt, "bad", weighting=weighting
    )


def test_new_weights_are_seen_at_once(live: LiveTextEncoders) -> None:
    other = text_encoders(seed=1)
    before = embed(live, "a (blue:0.5) cat")
    assert not torch.equal(before, embed(other, "a (blue:0.5) cat"))
    assert torch.equal(before, embed(live, "a (blue:0.5) cat"))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "F16"), (torch.bfloat16, "BF16")])
def test_the_precision_of_the_encoders_is_kept(weighting: Weighting, dtype: torch.dtype, name: str) -> None:
    prompt = "a (blue:1.3) cat, (face:0.5)"
    whole, half = text_encoders(), text_encoders()
    half.text_encoder.to(dtype)
    half.text_encoder_2.to(dtype)
    found = encode_conditioning(half, prompt, "bad", weighting=weighting)
    assert {array.dtype for array in (found.positive.embeds, found.positive.pooled)} == {name}
    ours, expected = to_tensor(found.positive.embeds).float(), embed(whole, prompt, weighting)
    torch.testing.assert_close(ours, expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_clip_skip_chooses_the_layer(live: LiveTextEncoders, weighting: Weighting) -> None:
    ids = live.tokenizer("a blue cat", padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        layers = live.text_encoder(ids, output_hidden_states=True).hidden_states
    width = layers[0].shape[-1]
    for clip_skip in (1, 2):
        found = embed(live, "a blue cat", weighting, clip_skip)
        assert torch.equal(found[..., :width], layers[-clip_skip])
    assert not torch.equal(embed(live, "a (blue:0.5) cat", weighting, 1), embed(live, "a (blue:0.5) cat", weighting, 2))


def test_clip_skip_beyond_the_layers_is_refused(live: LiveTextEncoders) -> None:
    with pytest.raises(PromptError, match=r"clip_skip is 3, but .* has only 2 layers"):
        encode_conditioning(live, "cat", "", clip_skip=3)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(
    "prompt",
    ["cat " * 4801, "(a)b" * 5000, "a" * 100_000],
    ids=["words", "fragments", "letters"],
)
def test_a_prompt_beyond_the_bound_is_refused(live: LiveTextEncoders, prompt: str, weighting: Weighting) -> None:
    with pytest.raises(PromptError, match=r"at most 64 chunks of 75 tokens \(4800\)"):
        encode_conditioning(live, prompt, "", weighting=weighting)


def test_too_many_breaks_are_refused(live: LiveTextEncoders) -> None:
    with pytest.raises(PromptError, match="the prompt comes to 65 chunks"):
        encode_conditioning(live, "BREAK " * 64 + "cat", "")


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize(
    "prompt",
    [
        "( :0.5) cat",
        "(cat:0) (cat:0)",
        "(cat:-10)",
        "(cat:10)",
        "(<|endoftext|>:0.5) <|startoftext|> (blue <|endoftext|>:1.3)",
        "\0 (\0:0.5)",
        "(\u200b:0.5)",
        "((((((a, b, c, d, e, f, g, h",
        "(cat:0.5)(cat:0.6)(cat:0.5)",
    ],
)
def test_odd_prompts_give_finite_numbers(live: LiveTextEncoders, prompt: str, weighting: Weighting) -> None:
    assert torch.isfinite(embed(live, prompt, weighting)).all()


@pytest.mark.parametrize("text", ["<|endoftext|>", "cat <|startoftext|> face", "wow!", "!"])
def test_special_tokens_in_a_prompt_are_text(live: LiveTextEncoders, text: str) -> None:
    """The second tokenizer pads with "!", which must not turn an exclamation mark into padding."""
    spelled = make_tokenizer().encode(text, add_special_tokens=False, split_special_tokens=True)
    reserved = {live.tokenizer_2.bos_token_id, live.tokenizer_2.eos_token_id, live.tokenizer_2.pad_token_id}
    (chunk,) = tokenize(parse_prompt(text, "a1111"), live.tokenizer_2, "commas")
    assert [number for piece in chunk for number in piece.ids] == spelled
    assert reserved.isdisjoint(spelled)
