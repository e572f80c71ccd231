"""The vectors of embeddings, put behind those of the vocabulary in both text encoders."""

from collections.abc import Mapping

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from engine.errors import AssetRefused
from engine.values import Loading
from nodes.sdxl.embedding_file import inspect_embedding
from nodes.sdxl.weights import open_weights
from nodes.values import LearnedWord


def add_words(
    words: tuple[LearnedWord, ...], first: CLIPTextModel, second: CLIPTextModelWithProjection, loading: Loading
) -> Mapping[str, tuple[int, ...]]:
    """Add the vectors of words to both encoders, and return the token ids of each word, the same in both.

    The encoders have vocabularies of one size. Raises AssetMissing or AssetRefused.
    """
    ids: dict[str, tuple[int, ...]] = {}
    for learned in words:
        vectors, vectors_2 = _read(learned, (first, second), loading)
        start = _append(first, vectors)
        _append(second, vectors_2)
        ids[learned.word] = tuple(range(start, start + len(vectors)))
    return ids


def _read(
    learned: LearnedWord, encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection], loading: Loading
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the vectors [vectors, width] for each encoder, having checked that they are for these encoders."""
    path = loading.path(learned.weights.sha256)
    file = inspect_embedding(path)
    widths = tuple(encoder.get_input_embeddings().weight.shape[1] for encoder in encoders)
    if file.widths != widths:
        raise AssetRefused(
            f"{file.name} has vectors of {file.widths[0]} and {file.widths[1]} numbers, where the text encoders of "
            f"this checkpoint take {widths[0]} and {widths[1]}",
            hint="The embedding was trained for another model.",
        )
    with open_weights(path) as weights:
        first, second = (weights.get(name).reshape(file.vectors, -1) for name in file.tensors)
        for vectors, encoder in ((first, encoders[0]), (second, encoders[1])):
            if not torch.isfinite(vectors.to(encoder.dtype)).all():
                raise AssetRefused(
                    f"{file.name} has numbers in it that are infinite or none, or become so in {encoder.dtype}",
                    hint="The training of this embedding failed, or the file is damaged; choose another one.",
                )
        return first.clone(), second.clone()


def _append(encoder: CLIPTextModel | CLIPTextModelWithProjection, vectors: torch.Tensor) -> int:
    """Put vectors behind those that an encoder has for its tokens, and return the id of the first."""
    table = encoder.get_input_embeddings()
    weight = torch.cat([table.weight, vectors.to(table.weight)])
    table.weight = torch.nn.Parameter(weight, requires_grad=False)
    table.num_embeddings = len(weight)
    return len(weight) - len(vectors)
