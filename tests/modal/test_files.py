"""Pictures that are sent in: whoever was told the name of one can use it at once."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from engine.errors import AssetRefused
from nodes.assets import read_settings
from nova_graph.http.desk import Given
from nova_graph.http.library import read_library
from nova_graph.http.settings import HttpSettings
from nova_graph.modal.documents import uploads_folder
from nova_graph.modal.front import Front, front_runtime
from nova_graph.modal.gate import Gate
from nova_graph.modal.uploads import VolumeUploads
from nova_graph.modal.volume import Shared, unshared
from nova_graph.modal.web import VolumeDesk
from tests.modal.cloud import ARTIST, VOLUME, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.service import SMALL
from tests.nova_graph.http.pictures import png
from tools.single_file import write_safetensors

PNG = {"Content-Type": "image/png"}


def nothing() -> None:
    """Commit where nobody else looks."""


def loading(name: str) -> dict[str, Any]:
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"picture": name}},
        "png": {"type": "Serializer", "inputs": {"image": "$load.image"}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"file": "$png.file"}}


def taught(name: str) -> dict[str, Any]:
    words = {"text_encoders": "$loader.text_encoders", "embedding": name, "word": "neg"}
    nodes = {
        "loader": {"type": "CheckpointLoader", "inputs": {"checkpoint": "nova-nano"}},
        "words": {"type": "Embedding", "inputs": words},
        "encoder": {"type": "Encoder", "inputs": {"text_encoders": "$words.text_encoders", "prompt": "1girl"}},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"conditioning": "$encoder.conditioning"}}


def following(name: str) -> dict[str, Any]:
    inputs = {"model": "$loader.model", "image": "$load.image", "controlnet": name}
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"picture": "pose.png"}},
        "loader": {"type": "CheckpointLoader", "inputs": {"checkpoint": "nova-nano"}},
        "pose": {"type": "ControlNet", "inputs": inputs},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"model": "$pose.model"}}


def styled(name: str) -> dict[str, Any]:
    lora = {"model": "$loader.model", "text_encoders": "$loader.text_encoders", "lora": name}
    inputs = {"text_encoders": "$style.text_encoders", "prompt": "1girl"}
    nodes = {
        "loader": {"type": "CheckpointLoader", "inputs": {"checkpoint": "nova-nano"}},
        "style": {"type": "LoRA", "inputs": lora},
        "encoder": {"type": "Encoder", "inputs": inputs},
    }
    return {"nova": 1, "nodes": nodes, "outputs": {"conditioning": "$encoder.conditioning"}}


def test_a_picture_whose_name_was_told_is_on_the_volume_and_a_warm_container_finds_it(
    http: httpx.Client, plane: ControlPlane
) -> None:
    assert http.post("/predict", json={**SMALL, "seed": 51}).status_code == 200
    answer = http.post("/v1/files", content=png(24, 16), headers=PNG)
    assert answer.status_code == 201, answer.text
    name = answer.json()["name"]
    assert list(plane.volume(VOLUME).glob(f"uploads/*/{name}"))
    job = http.post("/v1/jobs", json={"graph": loading(name)}, params={"wait": 60}).json()
    assert job["state"] == "done", job
    assert http.get(job["images"][0]).content.startswith(b"\x89PNG")


HOLD = """
import modal
artist = modal.Cls.from_name("nova-anime-ilxl", "NovaAnime")()
loader = {"type": "CheckpointLoader", "inputs": {"checkpoint": "nowhere"}}
for node in ({"type": "Hold"}, loader):
    output = "$n.value" if node["type"] == "Hold" else "$n.model"
    print(artist.draw.remote({"nova": 1, "nodes": {"n": node}, "outputs": {"n": output}})[-2]["event"])
"""


def test_a_container_with_a_file_in_use_goes_on_without_a_reload(deployed: Cloud, plane: ControlPlane) -> None:
    try:
        assert deployed.python(HOLD).stdout.split() == ["pictures", "error"]
        (container,) = plane.alive(ARTIST)
        hindered = {(task, Path(file).name) for task, file in plane.volumes.hindered}
        assert hindered == {(container.task, "held")}
    finally:
        plane.volumes.hindered.clear()
        plane.kill(ARTIST)


def test_a_picture_that_the_volume_does_not_take_gets_no_name(http: httpx.Client, plane: ControlPlane) -> None:
    plane.volumes.is_full = True
    try:
        refused = http.post("/v1/files", content=png(32, 16), headers=PNG)
    finally:
        plane.volumes.is_full = False
    assert refused.status_code == 507, refused.text
    assert "cannot be kept" in refused.text
    assert http.post("/v1/files", content=png(32, 16), headers=PNG).status_code == 201


@pytest.mark.parametrize(
    ("kind", "graph", "told"),
    [
        ("lora", styled("style"), r"style\.lora: style\.safetensors is not a LoRA"),
        ("embedding", taught("style"), r"words\.embedding: style\.safetensors is not an SDXL embedding"),
        ("controlnet", following("style"), r"pose\.controlnet: style\.safetensors is not a ControlNet"),
    ],
)
def test_weights_that_are_something_else_are_refused_before_a_gpu_is_asked(
    tmp_path: Path, kind: str, graph: dict[str, Any], told: str
) -> None:
    (tmp_path / kind).mkdir()
    write_safetensors(tmp_path / kind / "style.safetensors", {"encoder.conv_in.weight": torch.zeros(1)}, {})
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "pose.png").write_bytes(png(24, 16))
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_DEVICE": "cpu"}, folders=())
    front = Front(front_runtime(settings, print), unshared())
    limits = HttpSettings()
    uploads = VolumeUploads(uploads_folder(settings), commit=nothing)
    desk = VolumeDesk(Gate(unshared()), front, read_library(limits.library), uploads, limits)
    try:
        with pytest.raises(AssetRefused, match=told):
            asyncio.run(desk.plan("alice", Given(tree=graph)))
    finally:
        desk.close()


def test_a_picture_that_came_to_another_web_container_a_moment_ago_is_looked_for(tmp_path: Path) -> None:
    settings = read_settings({"NOVA_CACHE_DIR": str(tmp_path), "NOVA_DEVICE": "cpu"}, folders=())
    uploads = VolumeUploads(uploads_folder(settings), commit=nothing)
    there = VolumeUploads(tmp_path / "there", commit=nothing)
    reloads: list[int] = []

    def reload() -> None:
        reloads.append(1)
        shutil.copytree(there.folder, uploads.folder, dirs_exist_ok=True)

    there.folder.mkdir()
    limits = HttpSettings()
    gate = Gate(Shared(commit=nothing, reload=reload), fresh=3600.0)
    front = Front(front_runtime(settings, print), unshared())
    desk = VolumeDesk(gate, front, read_library(limits.library), uploads, limits)

    async def check() -> None:
        assert await desk.do(lambda: uploads.list("alice")) == ()
        name = there.keep("alice", png(16, 8)).name
        ready = await desk.plan("alice", Given(tree=loading(name)))
        assert ready.plan.to_run
        assert len(reloads) == 2

    try:
        asyncio.run(check())
    finally:
        desk.close()
