"""YAML read strictly: the scalars of YAML 1.2's core schema, and none of the parts that surprise.

PyYAML supplies the events (through libyaml where it is there); what a scalar means is decided here.
See https://yaml.org/spec/1.2.2/#103-core-schema.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import yaml

from engine.source import MAX_DEPTH, MAX_INTEGER, Scalar, Source, Tree, put

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_STARTS = frozenset("+-.0123456789")
_MAX_DIGITS = 300

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%(?:YAML|TAG)\b", re.MULTILINE)

_COLON: Final = "a colon and a space begin a value here; put text that holds them in quotes"
_FIRST_KEY: Final = re.compile(r" +[\w-]+")
_ADVICE: Final = (
    ("mapping values are not allowed", _COLON),
    ("tab character that violates", "a tab cannot indent; use spaces"),
    ("that cannot start any token", "text cannot begin with this character; put it in quotes"),
    ("could not find expected ':'", "expected `key: value`"),
    ("did not find expected key", "expected a key at this indentation; text that begins with a quote must end with it"),
    ("did not find expected node content", "a value is missing here, or a list or mapping before it is not closed"),
    ("did not find expected '-' indicator", "expected `- item` at this indentation"),
)
_UNCLOSED: Final = (
    ("did not find expected ',' or", "this list or mapping is not closed, or its parts are not separated by commas"),
    ("unexpected end of stream", "this quote is not closed"),
    ("unexpected document indicator", "this quote is not closed"),
)
_COMMENT = re.compile(r"\s#")


def read_yaml(source: Source) -> Tree:
    """Read one YAML document; raises GraphErrors at the first thing that cannot be read."""
    text = source.text or ""
    _check_characters(source, text)
    try:
        return _Builder(source).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise _explained(source, error) from None
    except yaml.YAMLError as error:
        raise source.error(f"this is not YAML: {error}") from None


def _explained(source: Source, error: yaml.MarkedYAMLError) -> Exception:
    """Return the error for what libyaml refused: what is not closed is shown where it begins."""
    problem = str(error.problem)
    mark, begun = error.problem_mark, error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    unclosed = next((text for part, text in _UNCLOSED if part in problem), "")
    if unclosed and begun is not None and begun.line != line:
        comment = any(_COMMENT.search(text) for text in source.lines[begun.line : line])
        hint = "; what follows ` #` is a comment" if comment else ""
        return source.error(f"this is not YAML: {unclosed}{hint}", begun.line, begun.column)
    if source.lines[line : line + 1] and source.lines[line][column : column + 1] == "\t":
        return source.error("this is not YAML: a tab cannot indent; use spaces", line, column)
    advice = next((text for part, text in _ADVICE if part in problem), problem)
    if advice == _COLON and _FIRST_KEY.fullmatch(source.lines[line][:column]):
        advice = (
            "this line is indented further than the one above it, which has its value already; "
            "a text that goes on here needs quotes"
        )
    return source.error(f"this is not YAML: {unclosed or advice}", line, column)


def _check_characters(source: Source, text: str) -> None:
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        code = f"U+{ord(bad.group()):04X}"
        raise source.error(
            f'the character {code} cannot be written as it is; use "\\u{ord(bad.group()):04x}" in double quotes',
            *source.position(bad.start()),
        )
    directive = _DIRECTIVE.search(text)
    if directive is not None:
        raise source.error("graph files have no %YAML or %TAG lines", *source.position(directive.start()))


class _Builder:
    """Builds the tree from events, without recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Tree | None = None
        self.open: list[Tree] = []
        self.keys: list[Tree | None] = []
        self.documents = 0

    def build(self, events: Iterable[Any]) -> Tree:
        handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.mapping,
            yaml.SequenceStartEvent: self.sequence,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document,
        }
        for event in events:
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
        if self.root is None:
            raise self.source.error("the file is empty; a graph begins with `nova: 1`")
        return self.root

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.error(event, "a graph file holds one document; found a second one")

    def alias(self, event: Any) -> None:
        raise self.error(event, "aliases (`*name`) are not used in graph files; write the value out")

    def mapping(self, event: Any) -> None:
        self.start(event, {})

    def sequence(self, event: Any) -> None:
        self.start(event, [])

    def start(self, event: Any, empty: list[Tree] | dict[str, Tree]) -> None:
        if event.anchor is not None or event.tag is not None:
            raise self.decorated(event)
        if len(self.open) >= MAX_DEPTH:
            raise self.error(event, f"nested more than {MAX_DEPTH} levels deep")
        mark = event.start_mark
        tree = Tree(self.source, empty, mark.line, mark.column)
        self.place(tree)
        self.open.append(tree)
        self.keys.append(None)

    def end(self, _: Any) -> None:
        self.open.pop()
        self.keys.pop()

    def scalar(self, event: Any) -> None:
        if event.anchor is not None or event.tag is not None:
            raise self.decorated(event)
        mark, end = event.start_mark, event.end_mark
        length = end.column - mark.column if end.line == mark.line else 1
        tree = Tree(self.source, event.value, mark.line, mark.column, length)
        if not event.style:
            tree.plain = True
            try:
                tree.value = resolve(event.value)
            except ValueError as error:
                raise self.error(event, str(error)) from None
        self.place(tree)

    def place(self, tree: Tree) -> None:
        if not self.open:
            self.root = tree
            return
        parent, key = self.open[-1], self.keys[-1]
        if isinstance(parent.value, list):
            put(parent, len(parent.value), tree)
        elif key is None:
            self.keys[-1] = self.key(parent, tree)
        else:
            put(parent, key, tree)
            self.keys[-1] = None

    def key(self, parent: Tree, tree: Tree) -> Tree:
        name = tree.value
        if tree.plain and name == "<<":
            raise self.fault(tree, "merge keys (`<<`) are not used in graph files; write the values out")
        if not isinstance(name, str):
            written = "a list or mapping" if isinstance(name, list | dict) else "a number or a YAML word"
            raise self.fault(tree, f"keys must be text, and this is {written}; put it in quotes")
        if isinstance(parent.value, dict) and name in parent.value:
            first = parent.value[name].name
            raise self.fault(tree, f'the key "{name[:60]}" stands here twice; first on line {first.line + 1}')
        return tree

    def decorated(self, event: Any) -> Exception:
        if event.anchor is not None:
            return self.error(event, "anchors (`&name`) are not used in graph files")
        return self.error(event, "tags (`!name`) are not used in graph files; put text that begins with ! in quotes")

    def error(self, event: Any, message: str) -> Exception:
        mark = event.start_mark
        return self.source.error(message, mark.line, mark.column)

    def fault(self, tree: Tree, message: str) -> Exception:
        return self.source.error(message, tree.line, tree.column, tree.length)


def resolve(text: str) -> Scalar:
    """Return what a scalar without quotes means; raises ValueError for numbers that are not finite or far too long."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if text.isdecimal() and text.isascii():
        return _integer(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("numbers must be finite; put this in quotes if it is text")
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text) or _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text) if len(text) <= _MAX_DIGITS else math.inf
        if math.isinf(number):
            raise ValueError("this number is too large; put it in quotes if it is text")
        return number
    return text


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text, base) if len(text) <= _MAX_DIGITS else MAX_INTEGER
    if abs(number) >= MAX_INTEGER:
        raise ValueError("this number is too large; put it in quotes if it is text")
    return number
