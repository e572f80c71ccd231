"""Both text encoders, trained on captions alone to know which tags stand in them."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from tools.train_nano.config import TextStage
from tools.train_nano.data import scene_of
from tools.train_nano.render.captions import training_caption, vocabulary
from tools.train_nano.training import Batch, Moment

if TYPE_CHECKING:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

LENGTH: Final = 77
FIRST_UNSEEN: Final = 10_000_000
"""Scenes from this number on are for captions only: their pictures are never drawn."""

STATE_SHIFT: Final = -0.15
"""What is added to every number of the states, whose mean would else be next to 0.

A1111's rule of weights divides by their mean; CLIP's own states have one. Attention and layer norms see no shift.
"""


def make_tokenizer() -> "CLIPTokenizer":
    """Return nova-nano's tokenizer as nova-graph builds it from a checkpoint."""
    from nodes.sdxl.tokenizer import make_tokenizers
    from tools.train_nano.tokenizer import tokenizer_config

    return make_tokenizers(tokenizer_config())[0]


@dataclass(frozen=True, slots=True)
class TextPair:
    """Both encoders, and what is needed to feed them."""

    first: "CLIPTextModel"
    second: "CLIPTextModelWithProjection"
    end: int

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states [batch, 77, both widths] and the pooled embeddings of token ids [batch, 77], as SDXL does.

        The second tokenizer pads with '!', whose id is 0.
        """
        ends = (tokens == self.end).int().argmax(1)
        behind = torch.arange(tokens.shape[1], device=tokens.device)[None] > ends[:, None]
        first = self.first(tokens, output_hidden_states=True).hidden_states[-2]
        second = self.second(tokens.masked_fill(behind, 0), output_hidden_states=True)
        return torch.cat([first, second.hidden_states[-2]], -1), second.text_embeds


def make_text_pair(stage: TextStage, entries: int) -> TextPair:
    """Return untrained encoders for a vocabulary; the last layer of the first one does nothing.

    SDXL reads the layer before it, so it would never learn; doing nothing keeps `clip skip 1` meaningful.
    """
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    first = CLIPTextModel(_config(stage, stage.widths[0], entries, pad=entries - 1, activation="quick_gelu"))
    second = CLIPTextModelWithProjection(_config(stage, stage.widths[1], entries, pad=0, activation="gelu"))
    inner = getattr(first, "text_model", first)
    last = inner.encoder.layers[-1]
    for linear in (last.self_attn.out_proj, last.mlp.fc2):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    last.requires_grad_(requires_grad=False)
    for encoder in (first, second):
        nn.init.constant_(state_bias(encoder), STATE_SHIFT)
    inner.final_layer_norm.requires_grad_(requires_grad=False)
    return TextPair(first, second, entries - 1)


def state_bias(encoder: nn.Module) -> nn.Parameter:
    """Return what the last layer that SDXL reads adds to all of its states [width]."""
    layers = [name for name, _ in encoder.named_modules() if name.rpartition(".")[0].endswith("encoder.layers")]
    linear = encoder.get_submodule(f"{layers[-2]}.mlp.fc2")
    assert isinstance(linear, nn.Linear)
    return linear.bias


def _config(stage: TextStage, width: int, entries: int, *, pad: int, activation: str) -> "CLIPTextConfig":
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=entries,
        bos_token_id=entries - 2,
        eos_token_id=entries - 1,
        pad_token_id=pad,
        max_position_embeddings=LENGTH,
        hidden_size=width,
        intermediate_size=4 * width,
        num_attention_heads=max(1, width // 32),
        num_hidden_layers=stage.layers,
        projection_dim=stage.widths[1],
        hidden_act=activation,
    )


def tokenize(tokenizer: "CLIPTokenizer", captions: list[str]) -> Tensor:
    """Return token ids [captions, 77]."""
    coded = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    ids: Tensor = coded.input_ids
    return ids


class CaptionBatches(Dataset[Batch]):
    """Item k is the batch of step k: token ids, and which tags of the grammar the caption has."""

    def __init__(self, batch: int, seed: int) -> None:
        self.batch, self.seed = batch, seed
        self.tags = vocabulary()
        self.tokenizer = make_tokenizer()

    def __getitem__(self, step: int) -> Batch:
        """Return `tokens` [batch, 77] and `tags` [batch, tags]."""
        lot = random.Random(f"captions {self.seed} {step}")
        scenes = [scene_of(self.seed, FIRST_UNSEEN + step * self.batch + number) for number in range(self.batch)]
        captions = [training_caption(scene, lot) for scene in scenes]
        present = [set(caption.replace("_", " ").split(", ")) for caption in captions]
        tags = torch.tensor([[float(tag in found) for tag in self.tags] for found in present])
        return {"tokens": tokenize(self.tokenizer, captions), "tags": tags}


class TagHeads(nn.Module):
    """Linear readings of tags: from the pooled embedding, and from the mean state."""

    def __init__(self, stage: TextStage, tags: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sum(stage.widths))
        self.states = nn.Linear(sum(stage.widths), tags)
        self.pooled = nn.Linear(stage.widths[1], tags)


class TextLoss:
    """Tell the tags of a caption from its pooled embedding and from its mean state."""

    def __init__(self, pair: TextPair, heads: TagHeads) -> None:
        self.pair, self.heads = pair, heads

    def __call__(self, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one batch."""
        tokens = batch["tokens"]
        states, pooled = self.pair.encode(tokens)
        ends = (tokens == self.pair.end).int().argmax(1)
        inside = (torch.arange(LENGTH, device=tokens.device)[None] <= ends[:, None])[..., None]
        mean = (self.heads.norm(states) * inside).sum(1) / inside.sum(1)
        by_states = functional.binary_cross_entropy_with_logits(self.heads.states(4 * mean).float(), batch["tags"])
        by_pooled = functional.binary_cross_entropy_with_logits(self.heads.pooled(pooled).float(), batch["tags"])
        return by_states + by_pooled, {"by states": by_states, "by pooled": by_pooled}
