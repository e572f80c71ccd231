"""One CLIP text encoder, read chunk by chunk."""

from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from nodes.prompts import PromptError
from nodes.sdxl.prompt.chunks import CHUNK_TOKENS, Chunk


@dataclass(frozen=True, slots=True)
class Reading:
    """A chunk as the encoder sees it: `states` [1, 77, width]; `pooled` [1, projection] if it has a projection."""

    states: torch.Tensor
    pooled: torch.Tensor | None


class Clip:
    """A text encoder with its tokenizer, giving the hidden states that many layers before the end.

    `clip_skip` 1 is the last layer, 2 the last but one (which SDXL is trained on). Chunks are read one at a time, so
    that no bit of one depends on another. Lives for one encoding, so that `empty` never outlives a change of weights.
    """

    def __init__(
        self, tokenizer: CLIPTokenizer, model: CLIPTextModel | CLIPTextModelWithProjection, clip_skip: int
    ) -> None:
        """Raise PromptError where the encoder has fewer layers than are skipped."""
        layers = model.config.num_hidden_layers
        if clip_skip > layers:
            raise PromptError(
                f"clip_skip is {clip_skip}, but a text encoder of this checkpoint has only {layers} layers",
                hint="Use clip_skip: 2, which SDXL is trained on.",
            )
        self.tokenizer = tokenizer
        self.model = model
        self.clip_skip = clip_skip

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return torch.device(self.model.device)

    @cached_property
    def empty(self) -> torch.Tensor:
        """The states [1, 77, width] of the empty prompt."""
        return self.read(()).states

    def ids(self, chunk: Chunk) -> list[int]:
        """Return the 77 ids of a chunk: start, tokens, end, padding."""
        tokens = [number for piece in chunk for number in piece.ids]
        padding = [self.tokenizer.pad_token_id] * (CHUNK_TOKENS - len(tokens))
        return [self.tokenizer.bos_token_id, *tokens, self.tokenizer.eos_token_id, *padding]

    def weights(self, chunk: Chunk) -> torch.Tensor:
        """Return the weight of each of the 77 tokens, F32 [1, 77, 1]; start, end and padding have 1."""
        tokens = [piece.weight for piece in chunk for _ in piece.ids]
        row = [1.0, *tokens, *[1.0] * (CHUNK_TOKENS + 1 - len(tokens))]
        return torch.tensor(row, dtype=torch.float32, device=self.device).reshape(1, -1, 1)

    def read(self, chunk: Chunk) -> Reading:
        """Encode the plain tokens of a chunk."""
        ids = torch.tensor([self.ids(chunk)], dtype=torch.long, device=self.device)
        output = self.model(ids, output_hidden_states=True)
        return Reading(self.hidden(output.hidden_states), getattr(output, "text_embeds", None))

    def hidden(self, layers: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Choose the layer that `clip_skip` names; no final normalisation, as SDXL has it."""
        return layers[-self.clip_skip]
