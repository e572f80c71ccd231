"""Two prompts, encoded by both text encoders of SDXL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from nodes.prompts import dialect_of, parse_prompt, place_embeddings
from nodes.sdxl.arrays import from_tensor
from nodes.sdxl.prompt.clip import Clip
from nodes.sdxl.prompt.tokens import tokenize
from nodes.sdxl.prompt.weighting import Weighting, weigh_states
from nodes.sdxl.text import LiveTextEncoders
from nodes.values import Conditioning, Prompted

Check = Callable[[], None]
"""Raises Cancelled if encoding should stop."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A prompt: `embeds` [1, chunks * 77, width of both encoders], and `pooled` [1, projection] of its first chunk."""

    embeds: torch.Tensor
    pooled: torch.Tensor


@torch.no_grad()
def encode_conditioning(
    live: LiveTextEncoders,
    prompt: str,
    negative: str,
    *,
    weighting: Weighting = "compel",
    clip_skip: int = 2,
    check: Check = lambda: None,
) -> Conditioning:
    """Encode what to draw and what to avoid, each by itself, and bring both to the same number of tokens.

    The shorter one is padded with encodings of the empty prompt. An empty prompt is encoded as an empty text, not as
    zeros. `check` is called before each chunk.
    Raises PromptError for a prompt beyond 64 chunks, or a `clip_skip` beyond the encoders' layers.
    """
    clips = (
        Clip(live.tokenizer, live.text_encoder, clip_skip),
        Clip(live.tokenizer_2, live.text_encoder_2, clip_skip),
    )
    positive, avoided = (_encode(clips, live.words, text, weighting, check) for text in (prompt, negative))
    tokens = max(positive.embeds.shape[1], avoided.embeds.shape[1])
    return Conditioning(_pad(positive, clips, tokens), _pad(avoided, clips, tokens))


def _encode(
    clips: tuple[Clip, Clip], words: Mapping[str, tuple[int, ...]], text: str, weighting: Weighting, check: Check
) -> _Encoded:
    """Encode one prompt in chunks; weights act on the embeds alone, never on the pooled vector."""
    dialect = dialect_of(weighting)
    sections = place_embeddings(parse_prompt(text, dialect), words, dialect)
    widths: list[torch.Tensor] = []
    pooled: torch.Tensor | None = None
    for clip in clips:
        states: list[torch.Tensor] = []
        for chunk in tokenize(sections, clip.tokenizer, "pieces" if dialect == "comfy" else "commas", words):
            check()
            reading = clip.read(chunk)
            states.append(weigh_states(clip, chunk, reading.states, weighting))
            pooled = reading.pooled if pooled is None else pooled
        widths.append(torch.cat(states, dim=1))
    if pooled is None:
        raise AssertionError("the second text encoder has no projection")
    return _Encoded(torch.cat(widths, dim=-1), pooled)


def _pad(encoded: _Encoded, clips: tuple[Clip, Clip], tokens: int) -> Prompted:
    """Append empty prompts up to that many tokens."""
    missing = tokens - encoded.embeds.shape[1]
    embeds = encoded.embeds
    if missing:
        empty = torch.cat([clip.empty for clip in clips], dim=-1)
        embeds = torch.cat([embeds, empty.repeat(1, missing // empty.shape[1], 1)], dim=1)
    return Prompted(from_tensor(embeds), from_tensor(encoded.pooled))
