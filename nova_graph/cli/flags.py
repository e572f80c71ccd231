"""Command-line flags that a graph declares by its `inputs:`."""

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from engine.openers import SUFFIXES
from engine.problems import listed, nearest_name, shown
from engine.values import Json
from engine.words import Refused, Words, settle, types_of
from nova_graph.cli.exits import UsageError

_INTEGER = re.compile(r"[-+]?[0-9]{1,100}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_MAX_LIST = 100_000

_DASHES = "-\u2013\u2014"
"""What a flag begins with, also where a text editor made one long dash of two."""

_SWITCHED = ("true", "false", "yes", "no", "on", "off", "0", "1")

_QUOTES = " (without the quotes)"
"""What the engine adds for graph files; a command line has no quotes to leave out."""


@dataclass(frozen=True, slots=True)
class Options:
    """The flags that are no inputs: the command's own, and those of other commands with the command's name."""

    own: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()


NO_OPTIONS: Final = Options()


def read_flags(tokens: Sequence[str], inputs: Mapping[str, Words], options: Options = NO_OPTIONS) -> dict[str, Json]:
    """Return the graph inputs that the command line gives.

    `inputs` are the graph's declarations in JSON Schema words, `options` what else a wrong flag could be meant to be.
    `--pag-scale 0`, `--pag-scale=0`, `--face` and `--no-face` are understood; an empty value means null where the input
    may be null.
    Raises UsageError with all that is wrong.
    """
    given: dict[str, Json] = {}
    wrong: list[str] = []
    rest = deque(tokens)
    name, text = "", ""
    while rest:
        if name and (words := _unquoted(rest, inputs[name])):
            wrong.append(_split(flag_name(name), text, words))
            name = ""
            continue
        token = rest.popleft()
        try:
            name, text = _read_one(token, rest, inputs, options)
            value = read_value(flag_name(name), text, inputs[name])
        except UsageError as error:
            wrong.append(str(error))
            name = ""
            continue
        if name in given:
            wrong.append(f"{flag_name(name)} is given twice")
        given[name] = value
    if wrong:
        raise UsageError("\n".join(wrong))
    return given


def read_settings(settings: Sequence[str], inputs: Mapping[str, Words]) -> dict[str, Json]:
    """Return the graph inputs given as `name=value`, for names that are also options of the command.

    Raises UsageError.
    """
    given: dict[str, Json] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write it as name=value")
        known = known_input(name, inputs)
        if known is None:
            raise UsageError(f"--set {setting}: the graph has no input {name}{guess_input(name, inputs)}")
        if known in given:
            raise UsageError(f"--set {setting}: {known} is given twice")
        given[known] = read_value(f"--set {name}", text, inputs[known])
    return given


def flag_name(name: str) -> str:
    """Return the flag of an input: `pag_scale` is `--pag-scale`."""
    return "--" + name.replace("_", "-")


def is_switch(words: Words) -> bool:
    """Tell whether an input is a plain boolean, given as `--name` and `--no-name`."""
    return types_of(words) == ("boolean",)


def read_value(flag: str, text: str, words: Words) -> Json:
    """Read the text of one value by the type declared for it; raises UsageError, which begins with `flag`."""
    try:
        return settle(words, _converted(text, words))
    except Refused as refused:
        raise UsageError(f"{flag} {str(refused).removesuffix(_QUOTES)}") from None


def _converted(text: str, words: Words) -> Json:
    types = types_of(words)
    is_text = "string" in types
    if "null" in types and (text == "" or (text == "null" and not is_text)):
        return None
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    if {"integer", "seed"} & set(types) and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    return _list(text, words) if "array" in types and not is_text else text


def _list(text: str, words: Words) -> Json:
    """Read `[1, 2]` as JSON, and `mid,up.0` as a list of what the items are declared to be."""
    if len(text) > _MAX_LIST:
        raise Refused(f"has more than {_MAX_LIST:,} characters")
    if text.startswith("["):
        try:
            tree: Json = json.loads(text)
        except (ValueError, RecursionError):
            raise Refused(f"must be a list like [a, b] in JSON, or a,b; got {text[:60]}") from None
        return tree
    items = words.get("items")
    parts = [part.strip() for part in text.split(",")] if text else []
    return [_converted(part, items) if isinstance(items, dict) else part for part in parts]


def _read_one(token: str, rest: deque[str], inputs: Mapping[str, Words], options: Options) -> tuple[str, str]:
    if not token.startswith("--") or len(token) < len("--x"):
        _refuse_stray(token, rest, inputs)
    written, equals, text = token[2:].partition("=")
    name = known_input(written, inputs)
    if name is not None:
        if equals:
            return name, text
        return name, _turn_on(token, rest) if is_switch(inputs[name]) else _next(token, rest, inputs)
    turned_off = _turned_off(written, inputs)
    if turned_off is not None and not equals:
        return turned_off, "false"
    if not equals:
        _drop_value(rest)
    raise UsageError(_unknown(written, inputs, options))


def _refuse_stray(token: str, rest: deque[str], inputs: Mapping[str, Words]) -> NoReturn:
    """Refuse what is no flag; one without dashes, with one too few or a long one is taken for the input it names."""
    written = token.lstrip(_DASHES)
    meant = known_input(written.partition("=")[0], inputs)
    if meant is None and token.endswith(SUFFIXES):
        raise UsageError(f"{token!r} is not expected here; one graph is taken at a time")
    if "=" not in token and (meant is not None or (written[:1].isalpha() and written != token)):
        _drop_value(rest)
    if meant is None:
        raise UsageError(f"{token!r} is not expected here; the graph's inputs are given as --name VALUE")
    raise UsageError(f"{token!r} is not expected here; did you mean {flag_name(meant)}?")


def _unquoted(rest: deque[str], words: Words) -> list[str]:
    """Take what follows the value of a text and is no flag: the words that a shell parts where quotes are missing."""
    taken: list[str] = []
    while "string" in types_of(words) and rest and rest[0][:1] not in _DASHES and not rest[0].endswith(SUFFIXES):
        taken.append(rest.popleft())
    return taken


def _split(flag: str, text: str, words: Sequence[str]) -> str:
    whole = shown(" ".join((text, *words)))
    return f"{words[0]!r} is not expected here; put a text with spaces in quotes: {flag} {whole}"


def _drop_value(rest: deque[str]) -> None:
    if rest and not rest[0].startswith("--"):
        rest.popleft()


def _turn_on(flag: str, rest: deque[str]) -> str:
    if rest and rest[0].lower() in _SWITCHED:
        value = rest.popleft()
        raise UsageError(f"{flag} takes no {value!r} behind it; write {flag} or --no-{flag.removeprefix('--')}")
    return "true"


def _unknown(written: str, inputs: Mapping[str, Words], options: Options) -> str:
    commands = [command for flag, command in options.elsewhere if flag == f"--{written}"]
    if commands:
        return f"--{written} is an option of {listed([f'`nova-graph {name}`' for name in commands], 'and')} only"
    return f"the graph has no input for --{written}{guess_input(written, inputs, options)}"


def _next(flag: str, rest: deque[str], inputs: Mapping[str, Words]) -> str:
    """Take the value of a flag; another flag of the graph is none, since a value was forgotten then."""
    if not rest:
        raise UsageError(f"{flag} needs a value")
    if _is_flag(rest[0], inputs):
        raise UsageError(f"{flag} needs a value, and {rest[0]} is a flag; write {flag}={rest[0]} if you mean that text")
    return rest.popleft()


def _is_flag(token: str, inputs: Mapping[str, Words]) -> bool:
    written = token.removeprefix("--").partition("=")[0]
    return token.startswith("--") and (known_input(written, inputs) or _turned_off(written, inputs)) is not None


def _turned_off(written: str, inputs: Mapping[str, Words]) -> str | None:
    """Return the switch that `no-name` turns off."""
    name = known_input(written.removeprefix("no-"), inputs) if written.startswith("no-") else None
    return name if name is not None and is_switch(inputs[name]) else None


def known_input(written: str, inputs: Mapping[str, Words]) -> str | None:
    """Return the input that is written so, with dashes or underscores; None where there is none."""
    return next((name for name in (written, written.replace("-", "_")) if name in inputs), None)


def guess_input(written: str, inputs: Mapping[str, Words], options: Options = NO_OPTIONS) -> str:
    """Return the end of a sentence about an input that is not there: what could be meant, or what there is."""
    flags = [flag_name(name) for name in inputs]
    known = [flag.removeprefix("--") for flag in (*flags, *options.own)]
    meant = nearest_name(written.removeprefix("no-").replace("_", "-"), known)
    if meant:
        name = known_input(meant, inputs)
        is_off = written.startswith("no-") and name is not None and is_switch(inputs[name])
        return f"; did you mean --{'no-' if is_off else ''}{meant}?"
    return f"; it has {', '.join(flags)}" if flags else "; it has no inputs at all"
