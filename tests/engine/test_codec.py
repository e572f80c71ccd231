"""Outputs as bytes: exact round trips, and nothing but CorruptBlob from anything else."""

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import create_model, model_validator

from engine.codec import CorruptBlob, Unstorable, check, decode, encode
from engine.node import Output
from engine.values import Value
from tests.engine.trees import Fork, Leaf, Numbers, Tree, same, trees

TREE = Tree(
    fork=Fork((1, "é"), (Leaf(1, -0.0, "\ud83d", b"\x00"), None, b"", "x"), Numbers("F32", (1, 2), bytes(range(8)))),
    either=None,
    choice="a",
    rows=((), (1, 2)),
)


class Number(Output):
    value: int | float


class Text(Output):
    text: str


class Same(Output):
    text: str


@dataclass(frozen=True)
class Picky(Value):
    size: int

    def __post_init__(self) -> None:
        if self.size > 9:
            raise LookupError("too large")


class Picked(Output):
    picky: Picky


@dataclass(frozen=True, slots=True)
class Chain(Value):
    rest: "Chain | None" = None


class Chained(Output):
    chain: Chain


def tensors_in(data: bytes) -> dict[str, dict[str, Any]]:
    """Open a file as other tools do."""
    return dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]


@given(trees)
def test_every_tree_comes_back_exactly(tree: Tree) -> None:
    assert same(decode(encode(tree), Tree), tree)


@given(trees)
def test_other_tools_can_open_it(tree: Tree) -> None:
    buffers = tensors_in(encode(tree))
    assert set(buffers) == set(check(encode(tree)).buffers)


@given(trees)
def test_equal_outputs_give_equal_bytes(tree: Tree) -> None:
    data = encode(tree, key="k", about="Tree")
    assert encode(decode(data, Tree, key="k"), key="k", about="Tree") == data


@pytest.mark.parametrize(
    "value",
    [1, 1.0, True, 0.0, -0.0, 2**64, -(2**64), 10**6000, 5e-324, 1.7976931348623157e308],
    ids=lambda value: type(value).__name__,
)
def test_numbers_keep_type_and_sign(value: float) -> None:
    class One(Output):
        value: bool | int | float

    assert same(decode(encode(One(value=value)), One), One(value=value))


@pytest.mark.parametrize("bits", ["7ff8000000000000", "7ff8000000000001", "fff8000000000000", "7ff0000000000000"])
def test_nan_and_infinity_keep_their_bits(bits: str) -> None:
    @dataclass(frozen=True)
    class Holder(Value):
        real: float

    class Held(Output):
        holder: Holder

    real = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert not math.isfinite(real)
    back = decode(encode(Held(holder=Holder(real))), Held)
    assert struct.pack(">d", back.holder.real).hex() == bits


@pytest.mark.parametrize("text", ["", "\ud83d\ude00", "\ud83d", "\U0001f600", "\x00", '"sha256":"', '\\"', "0" * 64])
def test_text_comes_back_exactly(text: str) -> None:
    data = encode(Text(text=text), about=text)
    assert decode(data, Text).text == text
    assert tensors_in(data) is not None


def test_arrays_are_tensors_for_other_tools() -> None:
    tensors = tensors_in(encode(TREE))
    assert (tensors["fork.numbers.data"]["dtype"], tensors["fork.numbers.data"]["shape"]) == ("F32", [1, 2])
    assert bytes(tensors["fork.numbers.data"]["data"]) == bytes(range(8))


def test_wide_numbers_are_aligned() -> None:
    class Mixed(Output):
        raw: bytes
        numbers: Numbers

    data = encode(Mixed(raw=b"abc", numbers=Numbers("F32", (1,), b"1234")))
    length = int.from_bytes(data[:8], "little")
    places = {name: place["data_offsets"] for name, place in json.loads(data[8 : 8 + length]).items() if name[0] != "_"}
    assert (length % 8, places) == (0, {"numbers.data": [0, 4], "raw": [4, 7]})


def test_an_array_that_lies_about_its_size_still_comes_back() -> None:
    tree = TREE.model_copy(update={"fork": Fork((1, ""), (), Numbers("F32", (2**70, -1), b"123"))})
    assert same(decode(encode(tree), Tree), tree)


def test_the_bytes_are_frozen() -> None:
    """Changing them makes every stored result unreadable: raise the format's number."""
    data = encode(Text(text="hi"), key="k", about="Text")
    assert hashlib.sha256(data).hexdigest() == "0e5ea0fc02e203fde093846b1cdbb351e487be057975ad7327eee3b92659a4cd"


def test_every_truncation_is_refused() -> None:
    data = encode(TREE)
    for length in range(len(data)):
        with pytest.raises(CorruptBlob):
            decode(data[:length], Tree)
    with pytest.raises(CorruptBlob):
        decode(data + b"\0", Tree)


def test_every_flipped_bit_is_refused() -> None:
    data = encode(TREE)
    for place in range(len(data)):
        for bit in range(8):
            with pytest.raises(CorruptBlob):
                decode(data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :], Tree)


@given(st.binary(max_size=200))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(CorruptBlob):
        decode(junk, Tree)


def forge(data: bytes, **changes: str) -> bytes:
    """Change metadata and make the digest right again, as another program could."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"].update(changes)
    return seal(header, data[8 + length :])


def seal(header: Any, buffers: bytes) -> bytes:
    """Write a file with a right digest around any header."""
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    data = len(text).to_bytes(8, "little") + text + buffers
    return data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + hashlib.sha256(data).hexdigest().encode(), 1)


def test_forging_works_at_all() -> None:
    data = encode(TREE)
    assert same(decode(forge(data), Tree), TREE)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["", "x", "0x1", "fork.numbers.data"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)


@given(values)
def test_foreign_trees_give_the_type_or_nothing(tree: object) -> None:
    try:
        got = decode(forge(encode(TREE), tree=json.dumps(tree)), Tree)
    except CorruptBlob:
        return
    pytest.fail(f"{tree!r} was taken for {got!r}")


@given(values)
def test_a_value_has_its_declared_type_whatever_is_stored(tree: object) -> None:
    try:
        got = decode(forge(encode(Number(value=1)), tree=json.dumps([tree])), Number)
    except CorruptBlob:
        return
    assert type(got.value) in (int, float)


@given(values, values)
def test_foreign_headers_are_refused(metadata: object, buffer: object) -> None:
    with pytest.raises(CorruptBlob):
        decode(seal({"__metadata__": metadata, "x": buffer}, b""), Tree)
    with pytest.raises(CorruptBlob):
        decode(seal(metadata, b""), Tree)


HUGE = [
    {"dtype": "U8", "shape": [2**62], "data_offsets": [0, 2**62]},
    {"dtype": "U8", "shape": [], "data_offsets": [0, 0]},
    {"dtype": "U8", "shape": [-1, -8], "data_offsets": [0, 8]},
    {"dtype": "U8", "shape": [7], "data_offsets": [1, 8]},
    {"dtype": "F32", "shape": [8], "data_offsets": [0, 8]},
    {"dtype": "F33", "shape": [8], "data_offsets": [0, 8]},
    {"dtype": "U8", "shape": [8.0], "data_offsets": [0, 8]},
    {"dtype": "U8", "shape": [8]},
]


@pytest.mark.parametrize("buffer", HUGE, ids=str)
def test_impossible_buffers_are_refused(buffer: dict[str, object]) -> None:
    data = encode(TREE)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["fork.numbers.data"] = buffer
    with pytest.raises(CorruptBlob):
        decode(seal(header, data[8 + length :]), Tree)


@pytest.mark.parametrize("length", [0, 2**63, 2**64 - 1])
def test_impossible_header_lengths_are_refused(length: int) -> None:
    with pytest.raises(CorruptBlob):
        decode(length.to_bytes(8, "little") + encode(TREE)[8:], Tree)


def test_deep_json_is_refused() -> None:
    deep = "[" * 200_000 + "]" * 200_000
    with pytest.raises(CorruptBlob):
        decode(forge(encode(TREE), tree=deep), Tree)
    header = b'{"__metadata__":' + deep.encode() + b"}"
    with pytest.raises(CorruptBlob):
        decode(len(header).to_bytes(8, "little") + header, Tree)


def test_a_huge_number_is_refused_not_computed() -> None:
    with pytest.raises(CorruptBlob):
        decode(forge(encode(Number(value=1)), tree=f"[[0,{'9' * 1_000_000}]]"), Number)


def test_a_buffer_is_used_once() -> None:
    class Two(Output):
        one: bytes
        two: bytes

    data = encode(Two(one=b"aa", two=b"bb"))
    for tree in ('["one","one"]', '["one",["two"]]', '["one","three"]'):
        with pytest.raises(CorruptBlob):
            decode(forge(data, tree=tree), Two)


def test_a_buffer_of_nothing_is_refused() -> None:
    data = encode(Text(text="x"))
    header = json.loads(data[8:])
    header["more"] = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    with pytest.raises(CorruptBlob, match="belong to nothing"):
        decode(seal(header, b"x"), Text)


def test_another_key_or_type_is_refused() -> None:
    data = encode(Text(text="x"), key="a")
    with pytest.raises(CorruptBlob, match="another key"):
        decode(data, Text, key="b")
    with pytest.raises(CorruptBlob, match="another Same"):
        decode(data, Same, key="a")
    with pytest.raises(CorruptBlob, match="another format"):
        decode(forge(data, format="nova-graph outputs 2"), Text, key="a")


def test_a_class_may_refuse_its_fields_in_its_own_way() -> None:
    data = encode(Picked(picky=Picky(1)))
    with pytest.raises(CorruptBlob, match="too large"):
        decode(forge(data, tree="[[10]]"), Picked)


def test_validators_of_outputs_run_on_what_comes_back() -> None:
    class Even(Output):
        value: int

        @model_validator(mode="after")
        def be_even(self) -> "Even":
            if self.value % 2:
                raise RuntimeError("odd")
            return self

    with pytest.raises(CorruptBlob, match="odd"):
        decode(forge(encode(Even(value=2)), tree="[3]"), Even)


class Size(NamedTuple):
    width: int


@dataclass(frozen=True)
class Special(Leaf):
    """A Leaf by inheritance: it would come back as a plain Leaf."""


@dataclass(frozen=True)
class Loose(Value):
    anything: Any


@dataclass(frozen=True)
class Counted(Value):
    count: int = field(init=False, default=0)


@dataclass
class Open(Value):
    number: int


LEAF = Leaf(1, 1.0, "", b"")


@pytest.mark.parametrize(
    "value",
    [
        Fork((1, "x"), [LEAF]),  # type: ignore[arg-type]
        Fork((1, "x"), (bytearray(b"x"),)),  # type: ignore[arg-type]
        Fork((True, "x"), ()),
        Fork((1, "x", 2), ()),  # type: ignore[arg-type]
        Fork(Size(1), ()),  # type: ignore[arg-type]
        Fork((1, "x"), (Special(1, 1.0, "", b""),)),
        Fork((1, "x"), (Leaf(1, 1.0, "", b"", flag=1),)),  # type: ignore[arg-type]
        Fork((1, "x"), (Leaf(1, Path(), "", b""),)),  # type: ignore[arg-type]
        Fork((1, "x"), (), Numbers("F99", (), b"")),  # type: ignore[arg-type]
    ],
)
def test_what_would_come_back_as_something_else_is_not_written(value: Fork) -> None:
    with pytest.raises(Unstorable):
        encode(Tree(fork=value, either=None, choice="a", rows=()))


@pytest.mark.parametrize("value", [Loose(1), Counted(), Open(1)], ids=str)
def test_classes_that_cannot_be_stored_say_so(value: Value) -> None:
    odd = create_model("Odd", __base__=Output, value=(type(value), ...))

    with pytest.raises(Unstorable):
        encode(odd.model_validate({"value": value}))
    with pytest.raises(CorruptBlob):
        decode(forge(encode(Text(text="")), schema=""), odd)


def test_chains_come_back_or_are_refused_whole() -> None:
    def chain(length: int) -> Chained:
        links = Chain()
        for _ in range(length):
            links = Chain(links)
        return Chained(chain=links)

    back = decode(encode(chain(50)), Chained).chain
    for _ in range(50):
        assert back.rest is not None
        back = back.rest
    assert back.rest is None
    with pytest.raises(Unstorable):
        encode(chain(100_000))


@settings(max_examples=20)
@given(st.integers(0, 400))
def test_many_buffers_come_back(count: int) -> None:
    class Many(Output):
        parts: tuple[bytes, ...]

    many = Many(parts=tuple(b"%d" % index for index in range(count)))
    assert decode(encode(many), Many) == many
