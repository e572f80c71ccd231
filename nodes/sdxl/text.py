"""Both CLIP text encoders and their tokenizers."""

from dataclasses import dataclass

from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engine.values import Loading
from nodes.values import TextEncoders


@dataclass(frozen=True, slots=True)
class LiveTextEncoders:
    """The two loaded text encoders of SDXL, each with its tokenizer."""

    tokenizer: CLIPTokenizer
    tokenizer_2: CLIPTokenizer
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection


def load_text_encoders(handle: TextEncoders, loading: Loading) -> LiveTextEncoders:
    """Load the text encoders of a checkpoint; raises AssetMissing or AssetRefused."""
    raise NotImplementedError
