"""CLIP's byte-pair tokenizer, built in memory from its merges."""

import gzip
from importlib.resources import files

from transformers import CLIPTokenizer

from nodes.sdxl.configuration import TokenizerConfig

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
"""In tokens, with start and end."""


def clip_merges() -> tuple[str, ...]:
    """Return the 48,894 merges of CLIP's own vocabulary (OpenAI, MIT licence)."""
    packed = files("nodes.sdxl").joinpath("config/clip_merges.txt.gz").read_bytes()
    return tuple(gzip.decompress(packed).decode("utf-8").splitlines())


def make_tokenizers(config: TokenizerConfig | None) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """Return the tokenizers of both text encoders; they differ in the padding token, as in SDXL.

    Raises ValueError where the merges make no vocabulary.
    """
    lines = clip_merges() if config is None else config.merges
    merges = [_pair(line) for line in lines]
    vocabulary = _vocabulary(merges)
    return _tokenizer(vocabulary, merges, END), _tokenizer(vocabulary, merges, "!")


def _pair(line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    return left, right


def _tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]], pad: str) -> CLIPTokenizer:
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        model_max_length=LENGTH,
        pad_token=pad,
        clean_up_tokenization_spaces=False,
    )


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Return text to id: bytes, bytes that end a word, merges in order, start, end; raises ValueError."""
    symbols = _byte_symbols()
    texts = dict.fromkeys([*symbols, *(symbol + "</w>" for symbol in symbols)])
    for left, right in merges:
        if left not in texts or right not in texts or left + right in texts:
            raise ValueError(f"the merge {left!r} {right!r} does not follow from those before it")
        texts[left + right] = None
    return {text: number for number, text in enumerate([*texts, START, END])}


def _byte_symbols() -> list[str]:
    """Return the printable stand-ins of the 256 bytes, in the order of GPT-2's and CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
