"""Graph to Bound: values, references, conditions, stand-ins, seeds, and the order of nodes."""

import random
from random import Random
from typing import Annotated
from typing import Literal as OneOf

import pytest
from pydantic import Field

from engine import Context, GraphErrors, Node, Output, Registry, bind, check, input_schema, input_words, parse
from engine.bound import Literal
from engine.values import Json
from tests.engine.arith import Token, arithmetic
from tests.engine.plain import REGISTRY, bindings, bound, plain

GRAPH = """
nova: 1
inputs:
  steps: {type: integer, default: 5, maximum: 20}
  size: {type: [integer, "null"], default: null}
  on: {type: boolean, default: true}
  seed: {type: seed, default: random}
  factor: {type: number, default: 3}
  text: {type: string, default: $5}
nodes:
  last: {type: Scale, inputs: {x: $sum.value, by: $inputs.factor}}
  count: {type: Count, inputs: {steps: $inputs.steps, seed: $inputs.seed, size: $inputs.size}}
  add:
    type: Add
    when: $inputs.on and $inputs.steps > 1
    inputs: {left: $count.value, right: 3}
    else: {value: $count.value}
  sum: {type: Sum, inputs: {items: [$add.value, 3, $inputs.steps]}}
  text: {type: Text, inputs: {text: $inputs.text}}
  escaped: {type: Text, inputs: {text: $$5}}
outputs: {value: $last.value, text: $text.text, escaped: $escaped.text}
"""


def errors(text: str, values: dict[str, Json] | None = None) -> list[str]:
    with pytest.raises(GraphErrors) as caught:
        bound(text, values)
    return [problem.message for problem in caught.value.problems]


def test_everything_is_settled() -> None:
    result = bound(GRAPH, {"seed": 7})
    assert bindings(result, "count") == {"steps": 5, "seed": 7, "size": None}
    assert bindings(result, "add") == {"left": "count.value", "right": 3}
    assert bindings(result, "sum") == {"items": ["add.value", 3, 5]}
    assert bindings(result, "last") == {"x": "sum.value", "by": 3.0}
    assert bindings(result, "text") == {"text": "$5"}
    assert bindings(result, "escaped") == {"text": "$5"}
    assert [node.id for node in result.nodes] == ["count", "add", "sum", "last", "text", "escaped"]


def test_origins_and_places_are_kept() -> None:
    result = bound(GRAPH, {"steps": 6, "seed": 1})
    count = next(node for node in result.nodes if node.id == "count")
    steps, size = count.bindings["steps"], count.bindings["size"]
    assert isinstance(steps, Literal)
    assert isinstance(size, Literal)
    assert (steps.value, steps.origin, steps.span) == (6, "steps", None)
    assert size.origin == "size"
    assert str(size.span) == "test.yaml:5:44"
    assert str(count.span) == "test.yaml:12:3"
    assert str(result.outputs["value"].span) == "test.yaml:21:18"


def test_a_switched_off_node_is_replaced_by_its_stand_in() -> None:
    off = bound(GRAPH, {"on": False, "seed": 1})
    assert bindings(off, "sum") == {"items": ["count.value", 3, 5]}
    assert "add" not in [node.id for node in off.nodes]


def test_a_switched_off_branch_leaves_the_graph_that_has_no_such_branch() -> None:
    with_branch = """
nova: 1
inputs: {scale: {type: number, default: 0}}
nodes:
  guide: {type: MakeToken, when: $inputs.scale > 0}
  token: {type: MakeToken, inputs: {name: a}}
  use: {type: UseToken, inputs: {token: $token.token, spare: $guide.token}}
  all: {type: Tokens, inputs: {tokens: [$guide.token, $token.token]}}
  none: {type: Tokens, inputs: {tokens: [$guide.token]}}
outputs: {text: $use.text, all: $all.text, none: $none.text}
"""
    without = """
nova: 1
nodes:
  token: {type: MakeToken, inputs: {name: a}}
  use: {type: UseToken, inputs: {token: $token.token}}
  all: {type: Tokens, inputs: {tokens: [$token.token]}}
  none: {type: Tokens, inputs: {tokens: []}}
outputs: {text: $use.text, all: $all.text, none: $none.text}
"""
    assert plain(bound(with_branch))["nodes"] == plain(bound(without))["nodes"]


def test_stand_ins_may_be_literals_inputs_and_other_switched_off_nodes() -> None:
    text = """
nova: 1
inputs: {on: {type: boolean, default: false}, n: {type: integer, default: 4}}
nodes:
  a: {type: Number, when: $inputs.on, inputs: {value: 1}, else: {value: 8}}
  b: {type: Number, when: $inputs.on, inputs: {value: 1}, else: {value: $a.value}}
  c: {type: Number, when: $inputs.on, inputs: {value: 1}, else: {value: $inputs.n}}
  d: {type: Count, inputs: {steps: $b.value, size: $a.value, seed: $c.value}}
outputs: {value: $d.value}
"""
    result = bound(text)
    assert bindings(result, "d") == {"steps": 8, "size": 8, "seed": 4}
    assert errors(text.replace("value: 8", "value: 9")) == ["d.size must be a multiple of 8, got 9"]
    assert errors(text.replace("value: 8", "value: 160")) == ["d.steps must be at most 150, got 160"]
    assert errors(text.replace("value: 8", "value: 1.5")) == ["a.else.value must be an integer, got 1.5"]
    wide = text.replace("default: 4", "default: 4, minimum: -5")
    assert errors(wide) == ["the input n allows more than d.seed does: minimum is -5, but it must be at least 0"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"on": "false"}, 'on must be true or false, got "false" (without the quotes)'),
        ({"on": 0}, "on must be true or false, got 0"),
        ({"steps": True}, "steps must be an integer, got true"),
        ({"steps": "5"}, 'steps must be an integer, got "5" (without the quotes)'),
        ({"steps": 5.0}, "steps must be an integer, got 5.0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": 21}, "steps must be at most 20, got 21"),
        ({"steps": None}, "steps must be an integer, got null"),
        ({"size": 12}, "size must be a multiple of 8, got 12"),
        ({"factor": True}, "factor must be a number, got true"),
        ({"factor": 100.5}, "factor must be at most 100, got 100.5"),
        ({"factor": float("nan")}, "factor cannot be used: numbers must be finite"),
        ({"factor": float("inf")}, "factor cannot be used: numbers must be finite"),
        ({"steps": 10**100}, "steps cannot be used: this number is too large"),
        ({"seed": -1}, 'seed must be at least 0, got -1; "random" draws a new one'),
        ({"seed": 2**64}, f"seed must be at most {2**64 - 1}, got {2**64}"),
        ({"seed": "rnd"}, f'seed must be an integer from 0 to {2**64 - 1}, or random, got "rnd"'),
        ({"text": 3}, "text must be text, got 3"),
        ({"text": "x" * 10_001}, "text must have at most 10000 characters, got 10001"),
        ({"text": "\ud800"}, "text cannot be used: this text holds half of a surrogate pair, which is no character"),
        ({"stpes": 3}, 'there is no input "stpes"; did you mean "steps"?'),
    ],
)
def test_given_values_are_checked_strictly(values: dict[str, Json], message: str) -> None:
    assert errors(GRAPH, values) == [message]


def test_an_integer_where_a_number_is_wanted_becomes_one() -> None:
    result = bound(GRAPH, {"factor": 2, "seed": 1})
    factor = result.inputs["factor"].value
    by = bindings(result, "last")["by"]
    assert (factor, by) == (2.0, 2.0)
    assert isinstance(factor, float)
    assert isinstance(by, float)


def test_given_text_is_never_taken_for_a_reference() -> None:
    result = bound(GRAPH, {"text": "$count.value", "seed": 1})
    assert bindings(result, "text") == {"text": "$count.value"}


def test_all_mistakes_are_shown_together() -> None:
    broken = GRAPH.replace("right: 3", "right: three").replace("$$5", "{}")
    messages = errors(broken, {"steps": 0, "nope": 1})
    assert messages == [
        'add.right must be an integer, got "three"',
        "escaped.text must be text, got {}",
        'there is no input "nope"; there is steps, size, on, seed, factor and text',
        "steps must be at least 1, got 0",
    ]


def test_a_random_seed_is_drawn_once_and_recorded() -> None:
    graph = parse(GRAPH, "test.yaml")
    first = bind(graph, REGISTRY, rng=Random(1))
    again = bind(graph, REGISTRY, {"seed": "random"}, rng=Random(1))
    other = bind(graph, REGISTRY, rng=Random(2))
    seed = first.inputs["seed"].value
    assert isinstance(seed, int)
    assert 0 <= seed < 2**32
    assert bindings(first, "count")["seed"] == seed
    assert again.inputs["seed"].value == seed
    assert other.inputs["seed"].value != seed


def test_random_seeds_stay_within_bounds() -> None:
    text = GRAPH.replace("default: random", "default: random, minimum: 10, maximum: 12")
    graph = parse(text, "test.yaml")
    drawn = {bind(graph, REGISTRY, rng=Random(number)).inputs["seed"].value for number in range(50)}
    assert drawn == {10, 11, 12}


def test_without_a_source_of_chance_the_system_draws() -> None:
    state = random.getstate()
    seeds = {bound(GRAPH).inputs["seed"].value for _ in range(8)}
    assert len(seeds) > 1
    assert random.getstate() == state


class Shapes(Node[Output]):
    """Take ports of many kinds."""

    any: Annotated[float, Field(gt=0, lt=10)] | str = "auto"
    few: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=2, max_length=3)] = (0, 0)
    code: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
    token: Token | None = None

    def run(self, ctx: Context) -> Output:
        return Output()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("any: 11", "shapes.any must be less than 10, got 11"),
        ("any: 0.0", "shapes.any must be greater than 0, got 0.0"),
        ("any: true", "shapes.any must be a number or text, got true"),
        ("few: [1]", "shapes.few must have at least 2 items, got 1"),
        ("few: [1, 2, 3, 4]", "shapes.few must have at most 3 items, got 4"),
        ("few: [1, -1]", "shapes.few item 2 must be at least 0, got -1"),
        ("few: [1, -1, $one.value]", "shapes.few item 2 must be at least 0, got -1"),
        ("few: [$one.value]", "shapes.few must have at least 2 items, got 1"),
        ("code: A1", 'shapes.code must match "^[a-z]+$", got "A1"'),
        ("token: {name: x}", "shapes.token takes Token or null from another node, as $node.port; got {...}"),
    ],
)
def test_literals_are_refused_in_plain_words(written: str, message: str) -> None:
    text = f"""
nova: 1
nodes:
  one: {{type: Number, inputs: {{value: 1}}}}
  shapes: {{type: Shapes, inputs: {{{written}}}}}
outputs: {{value: $one.value}}
"""
    with pytest.raises(GraphErrors) as caught:
        bind(parse(text), arithmetic().extended([Shapes]))
    assert [problem.message for problem in caught.value.problems] == [message]


class Pick(Node[Output]):
    """Pick one of two numbers."""

    which: OneOf[1, 2] = 1

    def run(self, ctx: Context) -> Output:
        return Output()


@pytest.mark.parametrize("written", ["true", "1.0", '"1"', "3"])
def test_one_of_a_few_numbers_is_neither_true_nor_text(written: str) -> None:
    text = f"""
nova: 1
nodes:
  one: {{type: Number, inputs: {{value: 1}}}}
  pick: {{type: Pick, inputs: {{which: {written}}}}}
outputs: {{value: $one.value}}
"""
    with pytest.raises(GraphErrors, match=f"pick.which must be 1 or 2, got {written}"):
        bind(parse(text), arithmetic().extended([Pick]))


def test_the_schema_of_the_inputs_has_the_bounds_of_the_ports() -> None:
    graph = parse(GRAPH, "test.yaml")
    words = input_words(graph, REGISTRY)
    assert words["steps"] == {"type": "integer", "minimum": 1, "maximum": 20, "multipleOf": 1, "default": 5}
    assert words["size"] == {"type": ["integer", "null"], "minimum": 8, "multipleOf": 8, "default": None}
    assert words["factor"] == {"type": "number", "minimum": 0, "maximum": 100, "default": 3.0}
    assert words["seed"] == {"type": "seed", "minimum": 0, "maximum": 2**64 - 1, "default": "random"}
    schema = input_schema(graph, REGISTRY)
    assert schema["required"] == []
    assert schema["additionalProperties"] is False


def test_choices_are_inherited_and_may_be_narrowed() -> None:
    text = """
nova: 1
inputs:
  style: {type: string, default: plain}
  loud: {type: string, enum: [loud], default: loud}
nodes:
  a: {type: Text, inputs: {style: $inputs.style}}
  b: {type: Text, inputs: {style: $inputs.loud}}
outputs: {a: $a.text, b: $b.text}
"""
    words = input_words(parse(text), REGISTRY)
    assert words["style"]["enum"] == ["plain", "loud"]
    assert words["loud"]["enum"] == ["loud"]
    assert errors(text, {"style": "lout"}) == ['style must be "plain" or "loud", got "lout"; did you mean "loud"?']
    assert errors(text, {"style": "plain A"}) == ['style must be "plain" or "loud", got "plain A"; here that is "loud"']
    wide = text.replace("[loud]", "[loud, silent]")
    assert errors(wide) == [
        'the input loud allows more than b.style does: enum: must be "plain" or "loud", got "silent"'
    ]


def test_bounds_that_leave_nothing_are_an_error() -> None:
    text = """
nova: 1
inputs: {n: {type: integer, default: 8}}
nodes:
  a: {type: Count, inputs: {size: $inputs.n, steps: $inputs.n}}
  b: {type: Small, inputs: {n: $inputs.n}}
outputs: {a: $a.value}
"""

    class Small(Node[Output]):
        """Take a small number."""

        n: Annotated[int, Field(le=7)]

        def run(self, ctx: Context) -> Output:
            return Output()

    with pytest.raises(GraphErrors, match="no value of n suits everything it feeds"):
        bind(parse(text), arithmetic().extended([Small]))


def test_equal_bounds_said_otherwise_are_no_widening() -> None:
    text = """
nova: 1
inputs: {n: {type: integer, default: 8, exclusiveMinimum: 0, exclusiveMaximum: 151}}
nodes: {a: {type: Count, inputs: {steps: $inputs.n}}}
outputs: {a: $a.value}
"""
    assert check(parse(text), REGISTRY) == ()


def test_a_graph_without_values_for_its_inputs_can_be_checked() -> None:
    text = GRAPH.replace("type: integer, default: 5", "type: integer")
    assert check(parse(text), REGISTRY) == ()
    assert errors(text) == ["the graph needs a value for steps: an input such as --steps on a command line"]
    assert bindings(bound(text, {"steps": 3}), "count")["steps"] == 3


def test_warnings_tell_of_lost_text_and_what_nothing_uses() -> None:
    text = """
nova: 1
inputs:
  prompt: {type: string, default: x}
  unused: {type: integer, default: 1}
nodes:
  say:
    type: Text
    inputs:
      text: 1girl, solo #1 artist
      style: plain  # a remark
  spare: {type: Text, inputs: {text: $inputs.prompt}}
outputs: {text: $say.text}
"""
    assert [str(warning).splitlines()[0] for warning in check(parse(text, "f"), REGISTRY)] == [
        'f:10:13: the text ends at "1girl, solo": what follows ` #` is a comment; quote it',
        "f:5:3: nothing uses the input unused",
        "f:12:3: no output needs spare; it will not run",
    ]


def test_a_node_that_no_output_needs_is_still_checked() -> None:
    text = """
nova: 1
nodes:
  one: {type: Number, inputs: {value: 1}}
  lonely: {type: Add}
outputs: {value: $one.value}
"""
    assert errors(text) == [
        'lonely needs an input "left" (integer)',
        'lonely needs an input "right" (integer)',
    ]
    assert [node.id for node in bound(text.replace("type: Add", "type: Text")).nodes] == ["one", "lonely"]


def test_a_parsed_body_is_told_of_paths_instead_of_lines() -> None:
    body: dict[str, Json] = {
        "nova": 1,
        "nodes": {
            "count": {"type": "Count", "inputs": {"steps": 0, "stepz": 1}},
            "sum": {"type": "Sum", "inputs": {"items": [1, "x"]}},
        },
        "outputs": {"value": "$cuont.value"},
    }
    with pytest.raises(GraphErrors) as caught:
        bind(parse(body), REGISTRY)
    assert [str(problem) for problem in caught.value.problems] == [
        "nodes.count.inputs.steps: count.steps must be at least 1, got 0",
        'nodes.count.inputs.stepz: Count has no input "stepz"; did you mean "steps"?',
        'nodes.sum.inputs.items[1]: sum.items item 2 must be an integer, got "x"',
        'outputs.value: there is no node "cuont"; did you mean "count"?',
    ]


def test_thousands_of_mistakes_are_counted_not_listed() -> None:
    nodes: dict[str, Json] = {f"n{index}": {"type": "Ad", "inputs": {"left": "$m.value"}} for index in range(5000)}
    with pytest.raises(GraphErrors) as caught:
        bind(parse({"nova": 1, "nodes": nodes, "outputs": {"value": "$n1.value"}}), REGISTRY)
    assert len(caught.value.problems) == 101
    assert caught.value.problems[-1].message == "and 4900 more; mend these first"


class Sampled(Output):
    """Latents, or what stands for them here."""

    latents: Token


class Sampler(Node[Sampled]):
    """Stand in for the real sampler in the example of the guide."""

    model: Token
    cfg: float = 5.0
    steps: Annotated[int, Field(ge=1)] = 25

    def run(self, ctx: Context) -> Sampled:
        return Sampled(latents=self.model)


def test_the_example_of_the_guide() -> None:
    lines = [""] * 40 + [
        "nova: 1",
        "nodes:",
        "  loader: {type: MakeToken}",
        "  sampler:",
        "    type: Sampler",
        "    inputs:",
        "      modle: $loader.model",
        *["      # how strongly"] * 5,
        "      cfg: 5.0",
        "      steps: 0",
        "outputs: {latents: $sampler.latents}",
    ]
    registry = Registry([*(declaration.cls for declaration in arithmetic().values()), Sampler])
    with pytest.raises(GraphErrors) as caught:
        bind(parse("\n".join(lines), "graphs/default.yaml"), registry)
    assert str(caught.value) == (
        "graphs/default.yaml:54:14: sampler.steps must be at least 1, got 0\n"
        "   54 |       steps: 0\n"
        "      |              ^\n"
        'graphs/default.yaml:47:7: Sampler has no input "modle"; did you mean "model"?\n'
        "   47 |       modle: $loader.model\n"
        "      |       ^^^^^\n"
        "2 errors. Nothing was run."
    )
