"""The laws of keys: what is in them, what is not, and that they are the same everywhere."""

import os
import subprocess
import sys
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Context, Environment, Node, Output, Registry
from engine.bound import Binding, Bound, BoundNode, Literal
from engine.keys import node_key
from engine.plan import make_plan
from tests.engine.arith import arithmetic
from tests.engine.build import Run, graph, services

NODES = arithmetic()
HERE = Environment()


class Anything(Output):
    """One scalar."""

    value: int | float | bool | str


class Scalar(Node[Anything]):
    """Take a scalar of any type."""

    value: int | float | bool | str

    def run(self, ctx: Context) -> Anything:
        return Anything(value=self.value)


def scalar_key(value: object) -> str | None:
    node = BoundNode("n", Registry([Scalar])["Scalar"], {"value": Literal(value)})
    return node_key(node, {}, {}, HERE)


def test_one_true_one_point_zero_and_the_text_one_give_four_keys() -> None:
    assert len({scalar_key(value) for value in (1, True, 1.0, "1")}) == 4


def one(declared: type[Node[Anything]], **values: object) -> str | None:
    registry = Registry([declared])
    bindings: dict[str, Binding] = {name: Literal(value) for name, value in values.items()}
    return node_key(BoundNode("n", registry[declared.__name__], bindings), {}, {}, HERE)


def test_a_raised_version_changes_the_key() -> None:
    def scalar(number: int) -> type[Node[Anything]]:
        class Scalar(Node[Anything]):
            """Take a scalar."""

            version: ClassVar[int] = number

            value: int

        return Scalar

    assert one(scalar(1), value=1) == one(scalar(1), value=1)
    assert one(scalar(1), value=1) != one(scalar(2), value=1)


def test_an_added_optional_input_keeps_old_keys() -> None:
    def before() -> type[Node[Anything]]:
        class Grown(Node[Anything]):
            """Take a scalar."""

            value: int

        return Grown

    def after() -> type[Node[Anything]]:
        class Grown(Node[Anything]):
            """Take a scalar and a factor."""

            value: int
            factor: float = 1.0

        return Grown

    assert one(before(), value=1) == one(after(), value=1) == one(after(), value=1, factor=1.0)
    assert one(after(), value=1) != one(after(), value=1, factor=2.0)


def test_the_environment_is_in_the_keys_of_device_nodes_only() -> None:
    class OnDevice(Node[Anything]):
        """Compute on the device."""

        device: ClassVar[bool] = True

        value: int

    gpu = Environment(device="cuda", dtype="float16")
    declared = Registry([OnDevice, Scalar])
    for name, differs in (("OnDevice", True), ("Scalar", False)):
        node = BoundNode("n", declared[name], {"value": Literal(1)})
        assert (node_key(node, {}, {}, HERE) != node_key(node, {}, {}, gpu)) is differs


def test_details_that_move_only_the_last_bits_are_not_in_keys() -> None:
    assert Environment(detail=(("threads", "2"),)).key == Environment().key


def test_the_content_of_an_asset_is_in_the_key_and_its_name_is_not() -> None:
    def opened(name: str, content: str) -> str | None:
        node = BoundNode("n", NODES["Opened"], {"name": Literal(name)})
        return node_key(node, {}, {("n", "name"): content}, HERE)

    assert opened("a.png", "11") == opened("b.png", "11")
    assert opened("a.png", "11") != opened("a.png", "22")


Shape = list[tuple[int, int, int]]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Draw a random DAG of additions: (kind or literal, left, right); operands are earlier nodes."""
    size = draw(st.integers(1, 12))
    nodes: Shape = []
    for index in range(size):
        literal = draw(st.integers(-5, 5))
        left = draw(st.integers(-1, index - 1))
        right = draw(st.integers(-1, index - 1))
        nodes.append((literal, left, right))
    return nodes


def build(shape: Shape, names: list[str] | None = None) -> Bound:
    names = names or [f"n{index}" for index in range(len(shape))]
    nodes: dict[str, tuple[str, dict[str, object]]] = {}
    for index, (literal, left, right) in enumerate(shape):
        items = [f"${names[other]}.value" for other in (left, right) if other >= 0]
        nodes[names[index]] = ("Sum", {"items": [literal, *items]})
    return graph(NODES, nodes, {name: f"${name}.value" for name in names})


def naive(shape: Shape, index: int) -> int:
    literal, left, right = shape[index]
    return literal + sum(naive(shape, other) for other in (left, right) if other >= 0)


def keys(bound: Bound) -> list[str | None]:
    return [step.key for step in make_plan(bound, services()).steps]


@given(shapes())
def test_a_run_gives_what_naive_recursion_gives(shape: Shape) -> None:
    outputs = Run(build(shape), services()).outputs
    assert outputs == {f"n{index}": naive(shape, index) for index in range(len(shape))}


@given(shapes(), st.data())
def test_changing_one_literal_changes_exactly_the_keys_of_its_descendants(shape: Shape, data: st.DataObject) -> None:
    changed = data.draw(st.integers(0, len(shape) - 1))
    literal, left, right = shape[changed]
    other = [*shape[:changed], (literal + 100, left, right), *shape[changed + 1 :]]
    descendants = {changed}
    for index, (_, *operands) in enumerate(shape):
        if descendants & set(operands):
            descendants.add(index)
    differing = {
        index for index, (a, b) in enumerate(zip(keys(build(shape)), keys(build(other)), strict=True)) if a != b
    }
    assert differing == descendants


@given(shapes(), st.data())
def test_names_and_the_order_of_inputs_are_in_no_key(shape: Shape, data: st.DataObject) -> None:
    names = data.draw(
        st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=len(shape), max_size=len(shape), unique=True)
    )
    bound = build(shape, names)
    turned = Bound(
        nodes=tuple(
            BoundNode(node.id, node.declaration, dict(reversed(node.bindings.items()))) for node in bound.nodes
        ),
        outputs=bound.outputs,
        description="another text",
    )
    assert keys(build(shape)) == keys(bound) == keys(turned)


@settings(max_examples=50)
@given(shapes(), shapes(), st.sets(st.integers(0, 11)))
def test_any_state_of_the_cache_gives_the_same_result(before: Shape, shape: Shape, evicted: set[int]) -> None:
    within = services()
    Run(build(before), within)
    Run(build(shape), within)
    held = [step.key for step in make_plan(build(shape), within).steps]
    fresh = services()
    for index, key in enumerate(held):
        hit = within.cache.get(key, NODES["Sum"].output_class) if key and index not in evicted else None
        if key and hit:
            fresh.cache.put(key, hit[0], stored=False, about="Sum")
    assert Run(build(shape), fresh).outputs == Run(build(shape), services()).outputs


@pytest.mark.parametrize("seed", ["0", "1"])
def test_keys_are_the_same_in_another_process(seed: str) -> None:
    shape: Shape = [(1, -1, -1), (2, 0, -1), (3, 0, 1)]
    code = (
        "from tests.engine.test_keys import build, keys, scalar_key\n"
        f"print(keys(build({shape!r})), [scalar_key(v) for v in (1, True, 1.0, '1', 'é')])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    here = (keys(build(shape)), [scalar_key(value) for value in (1, True, 1.0, "1", "é")])
    assert done.stdout.split("\n")[0] == f"{here[0]} {here[1]}"
