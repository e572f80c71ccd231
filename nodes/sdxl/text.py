"""Both CLIP text encoders and their tokenizers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engine.errors import AssetRefused
from engine.values import Loading
from nodes.sdxl.configuration import Configuration, TextConfig, configuration_of
from nodes.sdxl.devices import device_of, dtype_of
from nodes.sdxl.embedding import add_words
from nodes.sdxl.header import read_header
from nodes.sdxl.layout import Place, text_2_places, text_places
from nodes.sdxl.lora import open_loras
from nodes.sdxl.lora_names import Part
from nodes.sdxl.tokenizer import make_tokenizers
from nodes.sdxl.weights import empty, fill, open_weights
from nodes.values import TextEncoders


@dataclass(frozen=True, slots=True)
class LiveTextEncoders:
    """The two loaded text encoders of SDXL, each with its tokenizer.

    `words` has the token ids of each embedding, the same for both; the tokenizers do not know them.
    """

    tokenizer: CLIPTokenizer
    tokenizer_2: CLIPTokenizer
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def load_text_encoders(handle: TextEncoders, loading: Loading) -> LiveTextEncoders:
    """Load the text encoders of a checkpoint; raises AssetMissing or AssetRefused."""
    path = loading.path(handle.weights.sha256)
    device, dtype = device_of(loading.environment), dtype_of(loading.environment)
    configuration = configuration_of(read_header(path))
    tokenizers = _tokenizers(path.name, configuration)
    first = empty_text_encoder(configuration.text_encoder)
    second = empty_text_encoder_2(configuration.text_encoder_2)
    with open_weights(path) as file:
        parts: tuple[tuple[Part, torch.nn.Module, dict[str, Place]], ...] = (
            ("text_encoder", first, text_places(first.state_dict().keys())),
            ("text_encoder_2", second, text_2_places(second.state_dict().keys(), file.keys)),
        )
        for part, module, places in parts:
            with open_loras(handle.loras, part, places, loading) as loras:
                fill(module, places, file, device, dtype, loras)
    words = add_words(handle.words, first, second, loading)
    return LiveTextEncoders(*tokenizers, first, second, words)


def empty_text_encoder(config: TextConfig) -> CLIPTextModel:
    """Return the first text encoder of a configuration, without weights."""
    return empty(lambda: CLIPTextModel(CLIPTextConfig(**config.model_dump())))


def empty_text_encoder_2(config: TextConfig) -> CLIPTextModelWithProjection:
    """Return the second text encoder of a configuration, without weights."""
    return empty(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**config.model_dump())))


def _tokenizers(name: str, configuration: Configuration) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """Return both tokenizers, having checked that they belong to the text encoders: others would mislead in silence."""
    try:
        first, second = make_tokenizers(configuration.tokenizer)
    except ValueError as error:
        raise AssetRefused(
            f"{name} carries a damaged vocabulary: {error}", hint="The file has to be written again."
        ) from error
    found = (len(first), first.bos_token_id, first.eos_token_id)
    for config in (configuration.text_encoder, configuration.text_encoder_2):
        expected = (config.vocab_size, config.bos_token_id, config.eos_token_id)
        if found != expected:
            raise AssetRefused(
                f"{name}: the tokenizer has (entries, start, end) {found} where the text encoders expect {expected}",
                hint="The merges in the file's metadata do not belong to its weights.",
            )
    return first, second
