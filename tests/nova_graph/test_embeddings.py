"""An embedding in a graph: found by name, keyed by its content, and encoded as what it holds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from engine.errors import AssetRefused
from nodes.assets import read_settings
from nodes.values import Conditioning
from nova_graph import Runtime, load, local_runtime, run
from tools.single_file import write_safetensors

GRAPH = """\
nova: 1
inputs: {negative: {type: string}}
nodes:
  loader: {type: CheckpointLoader, inputs: {checkpoint: nova-nano}}
  words:  {type: Embedding, inputs: {text_encoders: $loader.text_encoders, embedding: learned, word: neg}}
  text:   {type: Encoder, inputs: {text_encoders: $words.text_encoders, prompt: 1girl, negative: $inputs.negative}}
outputs: {text: $text.conditioning}
"""
NANO = Path("nodes/sdxl/nano/nova-nano.safetensors")
TABLES = (
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",
    "conditioner.embedders.1.model.token_embedding.weight",
)
HAT, SMILE = 774, 692
"""Token ids of nova-nano."""


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"})
    with local_runtime(settings=settings) as runtime:
        yield runtime


@pytest.fixture
def learn(tmp_path: Path) -> Callable[[int], None]:
    """Write the vectors that nova-nano has for a token as the embedding `learned` in the cache."""

    def write(token: int) -> None:
        with safe_open(NANO, framework="pt") as weights:
            vectors = [weights.get_tensor(table)[token][None] for table in TABLES]
        (tmp_path / "cache" / "embedding").mkdir(parents=True, exist_ok=True)
        path = tmp_path / "cache" / "embedding" / "learned.safetensors"
        write_safetensors(path, dict(zip(("clip_l", "clip_g"), vectors, strict=True)), {})

    return write


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.yaml"
    path.write_text(GRAPH)
    return path


def encode(graph: Path, runtime: Runtime, negative: str) -> Conditioning:
    found = run(load(graph, runtime=runtime).plan(negative=negative)).outputs["text"]
    assert isinstance(found, Conditioning)
    return found


def test_the_vectors_of_a_word_encode_as_that_word(graph: Path, runtime: Runtime, learn: Callable[[int], None]) -> None:
    learn(HAT)
    found = encode(graph, runtime, "lowres, (embedding:neg:1.3), blurry")
    assert found == encode(graph, runtime, "lowres, (hat:1.3), blurry")
    assert found == encode(graph, runtime, "lowres, (neg:1.3), blurry")
    assert found != encode(graph, runtime, "lowres, (smile:1.3), blurry")


def test_another_file_under_the_same_name_is_another_key(
    graph: Path, runtime: Runtime, learn: Callable[[int], None]
) -> None:
    def keys() -> dict[str, str | None]:
        plan = run(load(graph, runtime=runtime).plan(negative="neg")).plan
        return {step.id: step.key for step in plan.steps}

    learn(HAT)
    hat, before = encode(graph, runtime, "neg"), keys()
    learn(SMILE)
    smile, after = encode(graph, runtime, "neg"), keys()
    assert [name for name in before if before[name] != after[name]] == ["words", "text"]
    assert smile == encode(graph, runtime, "smile")
    assert smile != hat


def test_a_pickle_is_refused_before_anything_runs(graph: Path, runtime: Runtime, tmp_path: Path) -> None:
    graph.write_text(GRAPH.replace("embedding: learned", "embedding: learned.pt"))
    (tmp_path / "cache" / "embedding").mkdir(parents=True)
    (tmp_path / "cache" / "embedding" / "learned.pt").write_bytes(b"PK")
    with pytest.raises(AssetRefused, match=r"learned\.pt is a pickle.*\n.*Use the \.safetensors file"):
        load(graph, runtime=runtime).plan(negative="neg")
