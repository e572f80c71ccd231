"""A second reading of A1111's parameters text, written from its grammar; it shares no code with the writer."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Infotext:
    prompt: str
    negative: str
    fields: dict[str, str]


def parse(text: str) -> Infotext:
    *lines, last = text.split("\n")
    marks = [index for index, line in enumerate(lines) if line.startswith("Negative prompt:")]
    cut = marks[0] if marks else len(lines)
    negative = "\n".join(lines[cut:]).removeprefix("Negative prompt:").strip()
    return Infotext("\n".join(lines[:cut]).strip(), negative, _fields(last))


def _fields(line: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    rest = line
    while rest:
        name, _, rest = rest.partition(": ")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].removeprefix(", ")
        else:
            value, _, rest = rest.partition(", ")
        fields[name] = value
    return fields
