"""What the last run was made of, and why a node must run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.history import History, Ingredients, explain

SAMPLER = Ingredients(
    type="Sampler",
    version=1,
    literals=(("steps", "28"), ("cfg", "5.0")),
    upstream=(("latents", "decode", "k1"), ("model", "loader", "k2")),
    assets=(("weights", "aa"),),
    environment="cpu|float32|torch=2.1",
    key="k",
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=250)
ingredients = st.builds(
    Ingredients,
    type=words,
    version=st.integers(0, 2**63),
    literals=st.lists(st.tuples(words, words), max_size=3).map(tuple),
    upstream=st.lists(st.tuples(words, words, words), max_size=3).map(tuple),
    assets=st.lists(st.tuples(words, words), max_size=3).map(tuple),
    environment=words,
    key=words,
)


def test_nothing_is_known_before_the_first_run(tmp_path: Path) -> None:
    assert History(tmp_path / "none").last("a.yaml") == {}
    assert explain(None, SAMPLER) == "never run before"


def test_the_last_run_is_remembered_by_graph(tmp_path: Path) -> None:
    History(tmp_path / "new" / "history").remember("a.yaml", {"face/detail": SAMPLER})
    again = History(tmp_path / "new" / "history")
    assert again.last("a.yaml") == {"face/detail": SAMPLER}
    assert again.last("b.yaml") == {}
    again.remember("a.yaml", {})
    assert again.last("a.yaml") == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "not in the cache any more"),
        ({"key": "other"}, "made in another way than last time"),
        ({"literals": (("steps", "30"), ("cfg", "5.0")), "key": "x"}, "steps 28 -> 30"),
        ({"literals": (("steps", "28"),)}, "cfg 5.0 -> default"),
        ({"literals": (*SAMPLER.literals, ("eta", "0.5"))}, "eta default -> 0.5"),
        ({"literals": (("cfg", "5.0"), ("steps", "28"))}, "not in the cache any more"),
        ({"literals": (("steps", "28.0"), ("cfg", "5.0"))}, "steps 28 -> 28.0"),
        ({"assets": (("weights", "bb"),)}, "weights changed"),
        ({"assets": ()}, "weights changed"),
        ({"upstream": (("latents", "decode", "k9"), ("model", "loader", "k2"))}, "decode changed upstream"),
        ({"upstream": (("latents", "renamed", "k1"), ("model", "loader", "k2"))}, "not in the cache any more"),
        ({"upstream": (*SAMPLER.upstream, ("guidance", "pag", "k3"))}, "guidance connected"),
        ({"upstream": (("latents", "decode", "k1"),)}, "model disconnected"),
        (
            {"upstream": (*SAMPLER.upstream, ("latents", "other", "k4"))},
            "latents has 2 connections, had 1",
        ),
        ({"version": 2}, "Sampler version 1 -> 2"),
        ({"type": "Noise", "version": 2}, "type Sampler -> Noise"),
        ({"environment": "cuda|float32|torch=2.1"}, "environment cpu -> cuda"),
        ({"environment": ""}, "environment cpu float32 torch=2.1 -> none"),
        (
            {"version": 2, "assets": (("weights", "bb"),), "literals": (), "environment": "x"},
            "Sampler version 1 -> 2, weights changed, steps 28 -> default and 2 more",
        ),
    ],
)
def test_why_a_node_runs(change: dict[str, object], why: str) -> None:
    assert explain(SAMPLER, replace(SAMPLER, **change)) == why  # type: ignore[arg-type]


def test_one_node_connected_twice_is_named_once() -> None:
    before = replace(SAMPLER, upstream=(("a", "mix", "1"), ("b", "mix", "1")))
    now = replace(SAMPLER, upstream=(("a", "mix", "2"), ("b", "mix", "2")))
    assert explain(before, now) == "mix changed upstream"


def test_long_text_is_neither_shown_nor_kept(tmp_path: Path) -> None:
    prompts = [json.dumps(f"1girl, {colour} hair, " + "solo, " * 50) for colour in ("blue", "red")]
    blue, red = (replace(SAMPLER, literals=(("prompt", prompt),)) for prompt in prompts)
    history = History(tmp_path)
    history.remember("g", {"sampler": blue})
    kept = history.last("g")["sampler"]
    assert explain(kept, red) == "prompt changed"
    assert explain(kept, blue) == "not in the cache any more"
    assert not any(b"1girl" in file.read_bytes() for file in tmp_path.iterdir())


def test_middling_text_is_kept_but_not_shown() -> None:
    before, now = (replace(SAMPLER, literals=(("prompt", json.dumps("x" * size)),)) for size in (40, 41))
    assert explain(before, now) == "prompt changed"


@given(ingredients)
def test_any_ingredients_come_back(tmp_path_factory: pytest.TempPathFactory, one: Ingredients) -> None:
    history = History(tmp_path_factory.getbasetemp() / "any-history")
    history.remember("g", {"node": one})
    assert explain(history.last("g")["node"], one) == "not in the cache any more"


@given(ingredients, ingredients)
def test_an_explanation_is_never_empty(before: Ingredients, now: Ingredients) -> None:
    assert explain(before, now)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"a": 1}',
        b'{"a": {"type": "T"}}',
        b'{"a": {"type": "T", "version": "1"}}',
        b'{"a": {"type": "T", "version": 1, "literals": [["x"]]}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_broken_file_is_no_history(tmp_path: Path, data: bytes) -> None:
    history = History(tmp_path)
    history.remember("g", {"node": SAMPLER})
    (file,) = tmp_path.iterdir()
    file.write_bytes(data)
    assert history.last("g") == {}
    history.remember("g", {"node": SAMPLER})
    assert history.last("g") == {"node": SAMPLER}


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    history = History(tmp_path / "file" / "history")
    history.remember("g", {"node": SAMPLER})
    assert history.last("g") == {}


def test_half_a_surrogate_pair_is_no_error(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.remember("\ud83d", {"node": replace(SAMPLER, literals=(("text", '"\ud83d"'),))})
    assert history.last("\ud83d").keys() == {"node"}


def test_only_the_latest_graphs_are_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(230):
        history.remember(f"{number}.yaml", {"node": SAMPLER})
    assert len(list(tmp_path.iterdir())) == 200
    assert history.last("229.yaml") == {"node": SAMPLER}


def test_a_graph_too_large_to_remember_leaves_the_last_one(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.remember("g", {"node": SAMPLER})
    history.remember("g", {"x" * (17 << 20): SAMPLER})
    assert history.last("g") == {"node": SAMPLER}


def test_files_are_private(tmp_path: Path) -> None:
    History(tmp_path / "history").remember("g", {"node": SAMPLER})
    (file,) = (tmp_path / "history").iterdir()
    assert ((tmp_path / "history").stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
