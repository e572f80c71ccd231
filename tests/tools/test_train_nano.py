"""The whole program, in miniature: it trains, can be cut, and its checkpoint draws."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

pytest.importorskip("skia", reason="skia-python draws the training pictures; it comes with the extra `nano`")

from nodes.assets import read_settings
from nodes.sdxl.configuration import TokenizerConfig
from nodes.sdxl.tokenizer import make_tokenizers
from nova_graph import local_runtime
from tools.train_nano.config import PRESETS
from tools.train_nano.evaluate.studio import Studio
from tools.train_nano.report import OtherRun, read_figures
from tools.train_nano.stages import FURTHER
from tools.train_nano.start import read_start
from tools.train_nano.tokenizer import learn_merges, tokenizer_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a smoke run that was stopped after the text encoders and then continued."""
    folder = tmp_path_factory.mktemp("nano")
    train(folder, "--until", "text")
    assert not (folder / "nova-nano.safetensors").exists()
    train(folder)
    return folder


@pytest.fixture(scope="module")
def further(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that trains the checkpoint of `trained` further."""
    folder = tmp_path_factory.mktemp("further")
    train(folder, "--start", str(trained / "nova-nano.safetensors"))
    return folder


def train(folder: Path, *arguments: str) -> str:
    done = begin(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.train_nano", "--preset", "smoke", "--out", str(folder), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRAINING_COMMIT": "abc123"}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=200, env=environment
    )


def test_every_stage_is_reported(trained: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    assert list(report["stages"]) == ["render", "vae", "decoder", "text", "unet", "detector", "export"]
    assert report["config"]["name"] == "smoke"
    assert report["commit"] == "abc123"
    assert "eigenvalue 4" in report["stages"]["vae"]
    assert "| unet |" in (trained / "report.md").read_text()


def test_nothing_is_left_half_written(trained: Path) -> None:
    assert not list(trained.rglob("*.part"))


def test_the_checkpoint_tells_what_it_is(trained: Path) -> None:
    with safe_open(trained / "nova-nano.safetensors", "pt") as file:
        told = file.metadata()
    assert told["modelspec.architecture"] == "stable-diffusion-xl-v1-base"
    assert told["modelspec.resolution"] == "64x64"
    assert told["modelspec.training_commit"] == "abc123"
    assert told["modelspec.license"] == "Apache-2.0"
    assert len(told["modelspec.date"]) == 10
    assert json.loads(told["nova_graph.config"])["tokenizer"]["merges"]


def test_checkpoint_and_detector_draw_and_look_in_nova_graph(trained: Path, tmp_path: Path) -> None:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_THREADS": "1"})
    with local_runtime(settings=settings, on_disk=False) as runtime:
        studio = Studio(runtime, trained / "nova-nano.safetensors", trained / "face.safetensors", steps=2)
        drawn = studio.draw("1girl, blue hair", 1)
        other = studio.draw("1girl, blue hair", 2)
    assert drawn.pixels.shape == (64, 64, 3)
    assert (drawn.pixels != other.pixels).any()


def test_a_checkpoint_is_trained_further(trained: Path, further: Path) -> None:
    assert list(json.loads((further / "report.json").read_text())["stages"]) == list(FURTHER)
    before, after = (load_file(folder / "nova-nano.safetensors") for folder in (trained, further))
    assert before.keys() == after.keys()
    same = {name for name, tensor in before.items() if tensor.equal(after[name])}
    with safe_open(further / "nova-nano.safetensors", "pt") as file:
        started = file.metadata()["modelspec.training_start"]
    assert started == hashlib.sha256((trained / "nova-nano.safetensors").read_bytes()).hexdigest()
    vae = ("first_stage_model.encoder.", "first_stage_model.decoder.")
    for learnt in ("model.diffusion_model.", "conditioner.embedders.", *vae):
        assert any(name.startswith(learnt) and name not in same for name in before), learnt


def test_a_checkpoint_of_another_shape_is_not_started_from(trained: Path, tmp_path: Path) -> None:
    refused = begin(tmp_path, "--preset", "further", "--start", str(trained / "nova-nano.safetensors"))
    assert refused.returncode == 2
    assert "not of the preset further" in " ".join(refused.stderr.split())
    assert not list(tmp_path.iterdir())


def test_words_keep_their_embeddings_in_another_vocabulary(trained: Path) -> None:
    checkpoint, wider = (
        trained / "nova-nano.safetensors",
        TokenizerConfig(merges=tuple(" ".join(pair) for pair in learn_merges(["zebra"]))),
    )
    own = read_start(checkpoint, PRESETS["smoke"], tokenizer_config()).first
    (name,) = (name for name in own if name.endswith("token_embedding.weight"))
    moved = read_start(checkpoint, PRESETS["smoke"], wider).first[name]
    entries, others = (make_tokenizers(config)[0].get_vocab() for config in (tokenizer_config(), wider))
    assert len(moved) == len(others) != len(entries)
    for word in ("a</w>", "<|startoftext|>", "<|endoftext|>"):
        assert moved[others[word]].equal(own[name][entries[word]])
    assert moved[others["zebra</w>"]].allclose(own[name].mean(0))


def test_another_configuration_does_not_continue_a_run(trained: Path) -> None:
    other = dataclasses.replace(PRESETS["smoke"], native=128)
    with pytest.raises(OtherRun, match="another configuration"):
        read_figures(trained, other)
    assert "export" in read_figures(trained, PRESETS["smoke"])
    assert read_figures(trained / "elsewhere", other) == {}
