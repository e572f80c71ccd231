"""How the bounds of a graph input and of the ports it feeds go together: a file may narrow them, never widen."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from engine.aliases import ALIASES
from engine.declaration import InputPort
from engine.problems import listed, shown
from engine.values import Json
from engine.words import SEED_MAX, Refused, Words, is_multiple, same, settle, types_of

_LOWER: Final = ("minimum", "exclusiveMinimum")
_UPPER: Final = ("maximum", "exclusiveMaximum")
_SIZE_PAIRS: Final = (("minLength", "maxLength"), ("minItems", "maxItems"))


class _PortSchema(GenerateJsonSchema):
    """JSON Schema of a port; values that cannot be written allow nothing."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> JsonSchemaValue:
        return {"not": {}}


def port_options(port: InputPort) -> tuple[Words, ...]:
    """Return what a port takes as literals: one set of words for each type."""
    schema: dict[str, Any] = port.adapter.json_schema(schema_generator=_PortSchema)
    found: list[Words] = []
    for option in schema.get("anyOf", [schema]):
        if "not" not in option:
            found.append(_with_aliases(_with_type(option), port))
    return tuple(found)


def input_options(words: Mapping[str, Json]) -> tuple[Words, ...]:
    """Return what a declared input takes, in the same form."""
    if types_of(words) == ("seed",):
        return ({"minimum": 0, "maximum": SEED_MAX, **words, "type": "integer"},)
    rest = {key: value for key, value in words.items() if key not in ("type", "description")}
    return tuple({"type": "null"} if kind == "null" else {**rest, "type": kind} for kind in types_of(words))


def misfits(words: Mapping[str, Json], options: tuple[Words, ...]) -> list[str]:
    """Return the types of an input that none of the options takes."""
    return [kind for kind in types_of(words) if not _matching(kind, options)]


def widened(words: Mapping[str, Json], options: tuple[Words, ...]) -> list[str]:
    """Say where an input allows more than a port that it feeds: `minimum 0 is below 1`."""
    option = _only_option(words, options)
    if option is None:
        return []
    choices = words.get("enum")
    if isinstance(choices, list):
        return [f"enum: {fault}" for choice in choices if choice is not None and (fault := _fault(option, choice))]
    return [
        *_widened_limits(words, option),
        *_widened_step(words, option),
        *(fault for pair in _SIZE_PAIRS for fault in _widened_sizes(words, option, *pair)),
    ]


def tightened(words: Words, options: tuple[Words, ...]) -> Words:
    """Return the words with the bounds of a port that the input feeds taken over where they are stricter."""
    option = _only_option(words, options)
    if option is None:
        return words
    result = dict(words)
    for names, stricter in ((_LOWER, _is_above), (_UPPER, _is_below)):
        ours, theirs = _limit(words, names), _limit(option, names)
        if theirs is not None and (ours is None or stricter(theirs, ours)):
            for name in names:
                result.pop(name, None)
            result[names[theirs[1]]] = theirs[0]
    for low, high in _SIZE_PAIRS:
        _take_size(result, option, low, max)
        _take_size(result, option, high, min)
    _take_step(result, option)
    _take_choices(result, option)
    if "pattern" in option and "pattern" not in result:
        result["pattern"] = option["pattern"]
    return result


def is_empty(words: Mapping[str, Json]) -> bool:
    """Tell whether nothing is left between the bounds."""
    low, low_excluded = _limit(words, _LOWER) or (-math.inf, False)
    high, high_excluded = _limit(words, _UPPER) or (math.inf, False)
    if low > high or (low == high and (low_excluded or high_excluded)):
        return True
    sizes = [(_number(words.get(least), 0), _number(words.get(most), math.inf)) for least, most in _SIZE_PAIRS]
    return any(least > most for least, most in sizes) or words.get("enum") == []


def _with_type(option: dict[str, Any]) -> Words:
    words: Words = {key: value for key, value in option.items() if key not in ("title", "description", "default")}
    if "const" in words:
        words["enum"] = [words.pop("const")]
    return words


def _with_aliases(words: Words, port: InputPort) -> Words:
    return {**words, ALIASES: {**port.aliases}} if "enum" in words and port.aliases else words


def _matching(kind: str, options: Iterable[Words]) -> list[Words]:
    kind = "integer" if kind == "seed" else kind
    wanted = (kind, "number") if kind == "integer" else (kind,)
    return [option for option in options if option.get("type", kind) in wanted]


def _only_option(words: Mapping[str, Json], options: tuple[Words, ...]) -> Words | None:
    kinds = [kind for kind in types_of(words) if kind != "null"]
    matching = _matching(kinds[0], options) if len(kinds) == 1 else []
    return matching[0] if len(matching) == 1 else None


def _fault(option: Words, value: Json) -> str:
    try:
        settle(option, value)
    except Refused as refused:
        return str(refused)
    return ""


Limit = tuple[float, bool]
"""A bound, and whether it is excluded itself."""


def _limit(words: Mapping[str, Json], names: tuple[str, str]) -> Limit | None:
    found: list[Limit] = []
    for excluded, name in enumerate(names):
        value = words.get(name)
        if isinstance(value, int | float):
            found.append((value, bool(excluded)))
    if not found:
        return None
    sign = 1 if names is _LOWER else -1
    return max(found, key=lambda limit: (sign * limit[0], limit[1]))


def _is_above(one: Limit, other: Limit) -> bool:
    return one[0] > other[0] or (one[0] == other[0] and one[1] and not other[1])


def _is_below(one: Limit, other: Limit) -> bool:
    return one[0] < other[0] or (one[0] == other[0] and one[1] and not other[1])


def _widened_limits(words: Mapping[str, Json], option: Words) -> list[str]:
    faults: list[str] = []
    for names, stricter, side in ((_LOWER, _is_above, "at least"), (_UPPER, _is_below, "at most")):
        ours, theirs = _limit(words, names), _limit(option, names)
        if ours is None or theirs is None or not stricter(theirs, ours) or _is_next_integer(words, ours, theirs, names):
            continue
        wanted = {"at least": "greater than", "at most": "less than"}[side] if theirs[1] else side
        faults.append(f"{names[ours[1]]} is {shown(ours[0])}, but it must be {wanted} {shown(theirs[0])}")
    return faults


def _is_next_integer(words: Mapping[str, Json], ours: Limit, theirs: Limit, names: tuple[str, str]) -> bool:
    """Tell whether both bounds mean the same for integers, as `> 0` and `>= 1` do."""
    whole = "number" not in types_of(words) and float(ours[0]).is_integer() and float(theirs[0]).is_integer()
    step = 1 if names is _LOWER else -1
    return whole and ours[0] + step * ours[1] == theirs[0] + step * theirs[1]


def _widened_step(words: Mapping[str, Json], option: Words) -> list[str]:
    ours, theirs = words.get("multipleOf"), option.get("multipleOf")
    if isinstance(ours, int | float) and isinstance(theirs, int | float) and not is_multiple(ours, theirs):
        return [f"multipleOf is {shown(ours)}, but it must be a multiple of {shown(theirs)}"]
    return []


def _widened_sizes(words: Mapping[str, Json], option: Words, low: str, high: str) -> list[str]:
    faults: list[str] = []
    if low in words and low in option and _number(words[low], 0) < _number(option[low], 0):
        faults.append(f"{low} is {shown(words[low])}, but it must be at least {shown(option[low])}")
    if high in words and high in option and _number(words[high], 0) > _number(option[high], 0):
        faults.append(f"{high} is {shown(words[high])}, but it must be at most {shown(option[high])}")
    return faults


def _number(value: Json, otherwise: float) -> float:
    return value if isinstance(value, int | float) else otherwise


def _take_size(result: Words, option: Words, name: str, pick: Any) -> None:
    if name in option:
        result[name] = pick(_number(result.get(name, option[name]), 0), _number(option[name], 0))


def _take_step(result: Words, option: Words) -> None:
    ours, theirs = result.get("multipleOf"), option.get("multipleOf")
    if not isinstance(theirs, int | float):
        return
    if not isinstance(ours, int | float):
        result["multipleOf"] = theirs
    elif isinstance(ours, int) and isinstance(theirs, int):
        result["multipleOf"] = math.lcm(ours, theirs)
    elif is_multiple(theirs, ours):
        result["multipleOf"] = theirs


def _take_choices(result: Words, option: Words) -> None:
    theirs = option.get("enum")
    if not isinstance(theirs, list):
        return
    if ALIASES in option:
        result.setdefault(ALIASES, option[ALIASES])
    ours = result.get("enum")
    if isinstance(ours, list):
        result["enum"] = [choice for choice in ours if any(same(choice, other) for other in theirs)]
    else:
        nullable = "null" in types_of(result)
        result["enum"] = [*theirs, *([None] if nullable else [])]


def unfitting(name: str, words: Mapping[str, Json], options: tuple[Words, ...]) -> str:
    """Say that an input may have types which a port does not take."""
    wrong = misfits(words, options)
    takes = listed(list(dict.fromkeys(str(option.get("type", "other things")) for option in options)))
    return f"the input {name} may be {listed(wrong)}, and this takes {takes}"
