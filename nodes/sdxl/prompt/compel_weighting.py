"""Weights applied by Compel (https://github.com/damian0815/compel), without its parser.

Compel splits and tokenizes text itself and knows one layer. Chunks are already token ids, and the layer is a choice,
so it is handed a tokenizer that only spells and an encoder that shows the chosen layer where Compel looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
from compel import EmbeddingsProvider, ReturnedEmbeddingsType, SplitLongTextMode

from nodes.sdxl.prompt.chunks import CHUNK_TOKENS, Chunk, Piece
from nodes.sdxl.prompt.clip import Clip


def weigh_with_compel(clip: Clip, chunk: Chunk, states: torch.Tensor) -> torch.Tensor:
    """Move tokens above 1 away from the empty prompt, and blend those below 1 with the prompt without them."""
    provider = EmbeddingsProvider(
        tokenizer=_Spelling(clip),
        text_encoder=_Layer(clip, states.dtype),
        truncate=False,
        returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
        split_long_text_mode=SplitLongTextMode.BRUTAL,
    )
    fragments = _joined(chunk)
    texts = [_spell(piece) for piece in fragments]
    weights = [piece.weight for piece in fragments]
    weighted: torch.Tensor = provider.get_embeddings_for_weighted_prompt_fragments(
        [texts], [weights], device=clip.device
    )
    return weighted.to(states.dtype)


def _joined(chunk: Chunk) -> list[Piece]:
    """Join the pieces of one fragment: Compel blends with the prompt without all of it."""
    fragments: list[Piece] = []
    for piece in chunk:
        if piece.continued and fragments:
            fragments[-1] = replace(fragments[-1], ids=(*fragments[-1].ids, *piece.ids))
        else:
            fragments.append(piece)
    return fragments


def _spell(piece: Piece) -> str:
    """Write token ids as text, for `_Spelling` to read."""
    return " ".join(map(str, piece.ids))


class _Spelling:
    """Looks like a tokenizer to Compel; its texts are token ids in decimal."""

    def __init__(self, clip: Clip) -> None:
        self.bos_token_id = clip.tokenizer.bos_token_id
        self.eos_token_id = clip.tokenizer.eos_token_id
        self.pad_token_id = clip.tokenizer.pad_token_id
        self.model_max_length = CHUNK_TOKENS + 2

    def __call__(self, texts: Sequence[str], **_options: object) -> dict[str, list[list[int]]]:
        """Read each text as ids."""
        return {"input_ids": [[int(number) for number in text.split()] for text in texts]}


@dataclass(frozen=True, slots=True)
class _Layer:
    """Looks like a text encoder to Compel; the layer that Compel takes, the last but one, is the chosen one."""

    clip: Clip
    dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return self.clip.device

    def __call__(
        self, ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_options: object
    ) -> SimpleNamespace:
        """Encode ids [1, 77]."""
        output = self.clip.model(ids, attention_mask, output_hidden_states=True)
        chosen = self.clip.hidden(output.hidden_states)
        return SimpleNamespace(hidden_states=(chosen, output.hidden_states[-1]))
