"""Graphs inside graphs: where they are found, how their inputs and outputs connect, and what bounds them."""

from pathlib import Path

import pytest

from engine import FolderOpener, Graph, GraphErrors, LibraryOpener, bind, check, input_words, parse
from engine.bound import Literal
from engine.openers import CannotOpen
from engine.values import Json
from tests.engine.plain import REGISTRY, bindings, bound

DOUBLE = """
nova: 1
inputs:
  value: {type: integer, maximum: 100}
  token: {type: [Token, "null"], default: null}
  on: {type: boolean, default: true}
  seed: {type: seed, default: random}
nodes:
  add:
    type: Add
    when: $inputs.on
    inputs: {left: $inputs.value, right: $inputs.value}
    else: {value: $inputs.value}
  count: {type: Count, inputs: {steps: $inputs.value, seed: $inputs.seed}}
outputs: {value: $add.value, counted: $count.value, given: $inputs.value, token: $inputs.token}
"""

LIBRARY = LibraryOpener({"parts/double.yaml": DOUBLE})


def graph(nodes: str, outputs: str, inputs: str = "{}") -> str:
    return f"nova: 1\ninputs: {inputs}\nnodes:\n{nodes}\noutputs: {outputs}\n"


def messages(text: str, values: dict[str, Json] | None = None, opener: LibraryOpener = LIBRARY) -> list[str]:
    with pytest.raises(GraphErrors) as caught:
        bound(text, values, opener)
    return [problem.message for problem in caught.value.problems]


def test_inner_nodes_get_the_name_of_their_include() -> None:
    text = graph(
        "  one: {type: Number, inputs: {value: 1}}\n"
        "  twice: {graph: parts/double, inputs: {value: $one.value, seed: 7}}\n"
        "  again: {graph: parts/double, inputs: {value: $twice.value, seed: 7}}",
        "{value: $again.value}",
    )
    result = bound(text, None, LIBRARY)
    assert [node.id for node in result.nodes] == ["one", "twice/add", "twice/count", "again/add", "again/count"]
    assert bindings(result, "twice/add") == {"left": "one.value", "right": "one.value"}
    assert bindings(result, "again/add") == {"left": "twice/add.value", "right": "twice/add.value"}
    assert (result.outputs["value"].node, result.outputs["value"].port) == ("again/add", "value")
    span = next(node.span for node in result.nodes if node.id == "twice/add")
    assert str(span) == "parts/double.yaml:9:3"


def test_values_pass_through_with_their_origin() -> None:
    text = graph(
        "  twice: {graph: parts/double, inputs: {value: $inputs.n, on: $inputs.on, seed: $inputs.seed}}",
        "{value: $twice.counted}",
        "{n: {type: integer, default: 3}, on: {type: boolean, default: true}, seed: {type: seed, default: 5}}",
    )
    add = bound(text, None, LIBRARY).nodes[0]
    left = add.bindings["left"]
    assert isinstance(left, Literal)
    assert (left.value, left.origin) == (3, "n")
    assert [node.id for node in bound(text, {"on": False}, LIBRARY).nodes] == ["twice/count"]
    written = text.replace("$inputs.n,", "4,")
    left = bound(written, None, LIBRARY).nodes[0].bindings["left"]
    assert isinstance(left, Literal)
    assert (left.value, left.origin) == (4, None)


def test_what_goes_in_may_come_straight_out() -> None:
    text = graph(
        "  one: {type: Number, inputs: {value: 1}}\n"
        "  token: {type: MakeToken}\n"
        "  twice: {graph: parts/double, inputs: {value: $one.value, token: $token.token, seed: 1}}\n"
        "  use: {type: UseToken, inputs: {token: $token.token, spare: $twice.token}}\n"
        "  number: {type: Sum, inputs: {items: [$twice.given]}}",
        "{text: $use.text, number: $number.value}",
    )
    result = bound(text, None, LIBRARY)
    assert bindings(result, "use") == {"token": "token.token", "spare": "token.token"}
    assert bindings(result, "number") == {"items": ["one.value"]}


def test_an_include_can_be_switched_off() -> None:
    text = graph(
        "  one: {type: Number, inputs: {value: 1}}\n"
        "  twice:\n"
        "    graph: parts/double\n"
        "    when: $inputs.on\n"
        "    inputs: {value: $one.value}\n"
        "    else: {value: $one.value}\n"
        "  sum: {type: Sum, inputs: {items: [$twice.value, $twice.counted]}}",
        "{value: $sum.value}",
        "{on: {type: boolean, default: false}}",
    )
    result = bound(text, None, LIBRARY)
    assert [node.id for node in result.nodes] == ["one", "sum"]
    assert bindings(result, "sum") == {"items": ["one.value"]}


def test_nothing_from_a_switched_off_node_means_the_inner_default() -> None:
    text = graph(
        "  token: {type: MakeToken, when: $inputs.on}\n"
        "  number: {type: Number, when: $inputs.on, inputs: {value: 3}}\n"
        "  twice: {graph: parts/double, inputs: {value: 1, token: $token.token, seed: 1}}\n"
        "  spare: {type: MakeToken}\n"
        "  use: {type: UseToken, inputs: {token: $spare.token, spare: $twice.token}}",
        "{text: $use.text}",
        "{on: {type: boolean, default: false}}",
    )
    assert bindings(bound(text, None, LIBRARY), "use") == {"token": "spare.token", "spare": None}
    needed = text.replace("value: 1, token", "value: $number.value, token")
    assert messages(needed)[0] == (
        "twice/add.left needs integer, but number is switched off; give number an `else:` for it"
    )


def test_random_seeds_inside_are_drawn_once_for_each_include() -> None:
    text = graph(
        "  a: {graph: parts/double, inputs: {value: 1}}\n  b: {graph: parts/double, inputs: {value: 1, seed: random}}",
        "{a: $a.counted, b: $b.counted}",
    )
    result = bound(text, None, LIBRARY)
    first, second = bindings(result, "a/count")["seed"], bindings(result, "b/count")["seed"]
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert first != second


def test_bounds_inside_reach_the_inputs_outside() -> None:
    text = graph(
        "  twice: {graph: parts/double, inputs: {value: $inputs.n}}",
        "{value: $twice.counted}",
        "{n: {type: integer, default: 3}}",
    )
    words = input_words(parse(text), REGISTRY, opener=LIBRARY)["n"]
    assert (words["minimum"], words["maximum"]) == (1, 100)
    assert messages(text, {"n": 101}) == ["n must be at most 100, got 101"]
    assert check(parse(text), REGISTRY, opener=LIBRARY) == ()


def test_mistakes_inside_are_shown_once_and_in_their_file() -> None:
    opener = LibraryOpener(
        {"bad.yaml": DOUBLE.replace("type: Count", "type: Cuont").replace("$add.value", "$add.valu")}
    )
    text = graph(
        "  a: {graph: bad, inputs: {value: 1}}\n  b: {graph: bad, inputs: {value: 1}}",
        "{value: $a.value}",
    )
    with pytest.raises(GraphErrors) as caught:
        bound(text, None, opener)
    assert [(str(problem.span), problem.message) for problem in caught.value.problems] == [
        ("bad.yaml:14:17", 'there is no node type "Cuont"; did you mean "Count"?'),
        ("bad.yaml:15:18", 'Add has no output "valu"; did you mean "value"?'),
    ]


def test_a_file_inside_that_cannot_be_read_is_shown_in_its_place() -> None:
    text = graph("  a: {graph: bad}\n  b: {type: Number, inputs: {value: one}}", "{value: $a.value}")
    with pytest.raises(GraphErrors) as caught:
        bound(text, None, LibraryOpener({"bad": "nova: 1\nnodes: [\n"}))
    assert [str(problem.span) for problem in caught.value.problems] == ["bad:3:1", "test.yaml:5:37"]


def nested(depth: int) -> LibraryOpener:
    files = {f"g{level}": graph(f"  in: {{graph: g{level + 1}}}", "{value: $in.value}") for level in range(depth)}
    return LibraryOpener({**files, f"g{depth}": graph("  n: {type: Number, inputs: {value: 1}}", "{value: $n.value}")})


def test_includes_may_be_nested_but_not_without_end() -> None:
    text = graph("  in: {graph: g1}", "{value: $in.value}")
    assert bound(text, None, nested(16)).nodes[0].id == "/".join(["in"] * 16 + ["n"])
    assert messages(text, None, nested(17)) == ["graphs include one another more than 16 deep"]


def test_a_file_that_fits_at_one_depth_and_not_at_another() -> None:
    deep = nested(15)
    outer = graph(
        "  in: {graph: parts/double.yaml, inputs: {value: $inputs.n}}",
        "{value: $in.value}",
        "{n: {type: integer, default: 1}}",
    )
    files = {**deep.graphs, "parts/double.yaml": DOUBLE, "outer": outer, "g15": outer}
    text = graph("  a: {graph: outer}\n  b: {graph: g0}", "{value: $a.value}")
    assert messages(text, None, LibraryOpener(files)) == ["graphs include one another more than 16 deep"]


def test_a_file_included_thousands_of_times_is_checked_once() -> None:
    names = "".join(f"  n{index}: {{graph: parts/double, inputs: {{value: $inputs.n}}}}\n" for index in range(3000))
    text = graph(names, "{value: $n0.value}", "{n: {type: integer, default: 3}}")
    assert len(bound(text, None, LIBRARY).nodes) == 6000


def test_includes_that_double_at_every_level_are_bounded() -> None:
    files: dict[str, str | bytes] = {
        f"g{level}": graph("".join(f"  n{part}: {{graph: g{level + 1}}}\n" for part in range(10)), "{value: $n0.value}")
        for level in range(10)
    }
    text = graph("  in: {graph: g0}", "{value: $in.value}")
    files["g10"] = graph("  n: {type: Number, inputs: {value: 1}}", "{value: $n.value}")
    found = messages(text, None, LibraryOpener(files))
    assert found == ["with its includes this graph has more than 20000 nodes"]


def test_two_nodes_never_share_an_id() -> None:
    text = graph(
        "  a: {graph: parts/double, inputs: {value: 1}}\n  a/add: {type: Number, inputs: {value: 1}}",
        "{value: $a.value}",
    )
    assert messages(text) == ["two nodes come to have the id a/add; rename one"]


def test_conditions_inside_need_values_known_before_the_run() -> None:
    text = graph(
        "  one: {type: Number, inputs: {value: 1}}\n  chain: {graph: chain, inputs: {on: $one.value}}",
        "{value: $one.value}",
    )
    chain = graph("  a: {type: MakeToken, when: $inputs.on > 0}", "{token: $a.token}", "{on: {type: integer}}")
    assert messages(text, None, LibraryOpener({"chain": chain})) == [
        "chain/a.when uses the input on, which another node computes; conditions must be known before the run"
    ]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def load(path: Path) -> Graph:
    return parse(path.read_bytes(), str(path))


def test_a_folder_is_searched_beside_the_including_file(tmp_path: Path) -> None:
    part = graph("  in: {graph: ../parts/deep/double.yaml, inputs: {value: 3}}", "{value: $in.value}")
    top = graph("  in: {graph: parts/part.yaml}", "{value: $in.value}")
    write(tmp_path, {"graphs/top.yaml": top, "graphs/parts/part.yaml": part, "graphs/parts/deep/double.yaml": DOUBLE})
    root = tmp_path / "graphs"
    result = bind(load(root / "top.yaml"), REGISTRY, opener=FolderOpener(root))
    assert [node.id for node in result.nodes] == ["in/in/add", "in/in/count"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../secret.yaml", "lies outside"),
        ("link.yaml", "lies outside"),
        ("parts/../../secret.yaml", "lies outside"),
        ("/etc/passwd.yaml", "must be a path relative"),
        ("..\\secret.yaml", "must be a path relative"),
        ("parts\0.yaml", "must be a path relative"),
        ("notes.txt", "is no graph file"),
        ("parts/none.yaml", "is not there"),
        ("folder.yaml", "is not there"),
    ],
)
def test_nothing_outside_the_folder_is_opened(tmp_path: Path, name: str, why: str) -> None:
    write(tmp_path, {"secret.yaml": DOUBLE, "root/top.yaml": DOUBLE, "root/notes.txt": DOUBLE})
    (tmp_path / "root/link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "root/folder.yaml").mkdir()
    with pytest.raises(CannotOpen, match=why):
        FolderOpener(tmp_path / "root")(name, str(tmp_path / "root/top.yaml"))


def test_a_library_opens_names_only() -> None:
    opener = LibraryOpener({"face": "x", "parts/hand.yaml": "y", "parts/arm.yaml": "z"})
    assert opener("face", "body").content == "x"
    assert opener("parts/hand", "body").file == "parts/hand.yaml"
    assert opener("arm.yaml", "parts/hand.yaml").content == "z"
    for name in ("/etc/passwd", "../face", "hand.yaml", "nothing"):
        with pytest.raises(CannotOpen, match="there is no graph"):
            opener(name, "body")


def test_a_graph_that_stands_alone_includes_nothing() -> None:
    text = graph("  a: {graph: parts/double.yaml}", "{value: $a.value}")
    with pytest.raises(GraphErrors, match="this graph must stand alone"):
        bound(text)
