"""A byte-pair vocabulary in which every word of the grammar is one token."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from nodes.sdxl.configuration import TokenizerConfig
from tools.train_nano.render.captions import vocabulary

END_OF_WORD: Final = "</w>"
OTHER_WORDS: Final = (
    "a", "the", "of", "with", "and", "boy", "boys", "eyes", "mouth", "photo", "picture", "character", "score", "up",
    "very", "detailed", "standing", "skirt", "sky", "girls",
)  # fmt: skip
"""Words that people write and that no tag has."""

Merge = tuple[str, str]


def grammar_words() -> tuple[str, ...]:
    """Return every word of the grammar, without digits and hyphens, which CLIP's tokenizer splits off; sorted."""
    tags = " ".join([*vocabulary(), *OTHER_WORDS]).replace("-", " ")
    return tuple(sorted({word.strip("0123456789") for word in tags.split()} - {""}))


def learn_merges(words: Iterable[str]) -> tuple[Merge, ...]:
    """Return byte-pair merges, most frequent first, until each word is one token (Sennrich, arXiv:1508.07909)."""
    spellings = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in words}
    merges: list[Merge] = []
    while True:
        pairs = Counter(pair for spelling in spellings.values() for pair in pairwise(spelling))
        if not pairs:
            return tuple(merges)
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spellings = {word: _merged(spelling, best) for word, spelling in spellings.items()}


def _merged(spelling: list[str], pair: Merge) -> list[str]:
    merged: list[str] = []
    for symbol in spelling:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def tokenizer_config() -> TokenizerConfig:
    """Return nova-nano's vocabulary as a checkpoint carries it."""
    return TokenizerConfig(merges=tuple(f"{left} {right}" for left, right in learn_merges(grammar_words())))
