"""Where a prompt names an embedding: `embedding:word` in every dialect, and the bare word as in A1111."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from nodes.prompts.fragments import Dialect, Fragment, Section
from nodes.prompts.parser import parse_prompt

WORD = r"^[A-Za-z0-9_]([A-Za-z0-9_.+-]*[A-Za-z0-9_])?$"
"""What a word of an embedding looks like: it has no white space, brackets or commas, which end it in a prompt."""

LONGEST_WORD = 100

_REFERENCE = r"(?<!\w)embedding:(?:[\w.+-]++[/\\])*+(?P<name>[\w.+-]*\w)"
_SUFFIX = re.compile(r"\.(?:safetensors|pt|bin)$", re.IGNORECASE)
_NAMED = 5


def place_embeddings(sections: Sequence[Section], words: Collection[str], dialect: Dialect) -> tuple[Section, ...]:
    """Give every embedding of these words a fragment of its own; what names none of them is left out.

    Upper and lower case are the same. Folders and suffixes of ComfyUI's names, `embedding:sub/name.pt`, do not count.
    """
    known = {word.casefold(): word for word in words}
    pattern = _pattern(known, dialect)
    return tuple(
        tuple(placed for fragment in section for placed in _placed(fragment, pattern, known)) for section in sections
    )


def find_unknown(texts: Sequence[str], words: Collection[str], dialect: Dialect) -> str:
    """Say which embeddings prompts name that none of these words stands for; empty where there are none."""
    known = {word.casefold() for word in words}
    pattern = re.compile(_REFERENCE)
    uses = (
        (use[0], _word(use["name"], known))
        for text in texts
        for section in parse_prompt(text, dialect)
        for fragment in section
        for use in pattern.finditer(fragment.text)
    )
    unknown = list(dict.fromkeys(use[:LONGEST_WORD] for use, word in uses if word not in known))
    if not unknown:
        return ""
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    known_words = f" (it has {', '.join(sorted(words)[:_NAMED])})" if words else ""
    return (
        f'"{", ".join(unknown[:_NAMED])}"{more} in the prompt: no Embedding node gives that to the text '
        f"encoders{known_words}, so it is left out. Put an Embedding node with that word before the Encoder, "
        "or take it out of the prompt."
    )


def named_embeddings(text: str) -> tuple[str, ...]:
    """Return the words that a text names as `embedding:word`, each once, without folders and suffixes."""
    return tuple(dict.fromkeys(_SUFFIX.sub("", use["name"]) for use in re.finditer(_REFERENCE, text)))


def _pattern(known: Collection[str], dialect: Dialect) -> re.Pattern[str]:
    """Match a reference or, in A1111's dialect, a word by itself; the longest first."""
    if not known or dialect == "comfy":
        return re.compile(_REFERENCE)
    words = "|".join(re.escape(word) for word in sorted(known, key=len, reverse=True))
    return re.compile(rf"{_REFERENCE}|(?<!\w)(?P<bare>(?ai:{words}))(?!\w)")


def _placed(fragment: Fragment, pattern: re.Pattern[str], known: dict[str, str]) -> Iterator[Fragment]:
    first = True
    for text, word in _parts(fragment.text, pattern, known):
        if word or text.strip():
            yield replace(fragment, text=text, embedding=word, continued=not first)
            first = False


def _parts(text: str, pattern: re.Pattern[str], known: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Cut a text before and behind each embedding; yield the parts, each with the word that it is, or none."""
    end = 0
    for use in pattern.finditer(text):
        yield text[end : use.start()], ""
        bare = use.groupdict().get("bare")
        word = known.get(bare.casefold() if bare else _word(use["name"], known))
        if word is not None:
            yield use[0], word
        end = use.end()
    yield text[end:], ""


def _word(name: str, known: Collection[str]) -> str:
    """Return the word that a name means, in lower case: the name, or that without the suffix of a file."""
    name = name.casefold()
    return name if name in known else _SUFFIX.sub("", name)
