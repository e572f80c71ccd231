"""A big checkpoint that was never seen before is read once, and the command says so."""

import json
from pathlib import Path

from tests.nova_graph.command import Command

GRAPH = """\
nova: 1
inputs: {checkpoint: {type: string}}
nodes:
  loader: {type: CheckpointLoader, inputs: {checkpoint: $inputs.checkpoint}}
  encoder: {type: Encoder, inputs: {text_encoders: $loader.text_encoders, prompt: 1girl}}
  sampler: {type: Sampler, inputs: {model: $loader.model, conditioning: $encoder.conditioning}}
outputs: {latents: $sampler.latents}
"""
SIZE = 120_000_000


def sparse_weights(path: Path) -> Path:
    """Write a .safetensors file that is big and takes no room."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [SIZE], "data_offsets": [0, SIZE]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + SIZE)
    return path


def test_the_first_reading_is_told(tmp_path: Path) -> None:
    command = Command(tmp_path)
    sparse_weights(tmp_path / "anime.safetensors")
    graph = command.write(GRAPH)
    first = command.call("plan", graph, "--checkpoint", "anime.safetensors")
    assert first.stderr.splitlines() == [
        "reading anime.safetensors once (120.0 MB), to know it by its content",
        "reading anime.safetensors: 33.6 MB of 120.0 MB",
        "reading anime.safetensors: 62.9 MB of 120.0 MB",
        "reading anime.safetensors: 92.3 MB of 120.0 MB",
        "reading anime.safetensors: 120.0 MB of 120.0 MB",
    ]
    assert command.call("plan", graph, "--checkpoint", "anime.safetensors").stderr == ""
