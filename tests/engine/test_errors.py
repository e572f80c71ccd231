"""How errors look."""

from engine.errors import GraphErrors, Problem, Span


def test_the_caret_stands_below_what_is_meant_also_after_wide_characters() -> None:
    line = "  prompt: 青い髪 nope"
    problem = Problem("what is nope?", Span("graph.yaml", 3, line.index("nope") + 1, 4, line))
    shown = str(problem).splitlines()
    assert shown[0] == "graph.yaml:3:15: what is nope?"
    assert shown[1] == "    3 |   prompt: 青い髪 nope"
    assert shown[2] == "      | " + " " * (len("  prompt: ") + 2 * 3 + 1) + "^^^^"


def test_errors_are_counted() -> None:
    assert str(GraphErrors([Problem("one")])) == "one\n1 error. Nothing was run."
    assert str(GraphErrors([Problem("one"), Problem("two")])).endswith("2 errors. Nothing was run.")
