"""`modal run runtime_modal.py`: the real client, the real container entrypoint, the embedded model."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from nova_graph.modal.timing import read_entries
from tests.modal.cloud import ARTIST, ROOT, SHELL, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.control_plane.waiting import wait_for
from tools.single_file import write_safetensors

FLAGS = ("--prompt", "1girl, red hair", "--steps", "2", "--no-face", "--pag-scale", "0")
FILES = "for-runs"


def gpu_containers(plane: ControlPlane) -> int:
    return len(plane.containers.of(ARTIST))


@pytest.fixture(scope="module")
def runner(cloud: Cloud, plane: ControlPlane) -> Cloud:
    """A client with an empty Volume and a checkpoint behind a signed address."""
    plane.blobs.contents["anime.safetensors"] = (ROOT / "nodes/sdxl/nano/nova-nano.safetensors").read_bytes()
    url = f"{plane.blobs.address}/blobs/anime.safetensors?token=hidden-word"
    plane.secrets.named["with-a-url"] = {"CHECKPOINT_URL": url}
    return replace(cloud, settings={"NOVA_MODAL_SECRET": "with-a-url", "NOVA_MODAL_VOLUME": FILES})


@pytest.fixture(scope="module")
def fetched(runner: Cloud, plane: ControlPlane) -> subprocess.CompletedProcess[str]:
    """The command that downloads the checkpoint; no GPU has a part in it."""
    before, calls = gpu_containers(plane), len(plane.calls.calls)
    done = runner.modal("run", f"{SHELL}::fetch_checkpoint")
    assert gpu_containers(plane) == before
    made = [plane.functions.functions[each.function_id] for each in list(plane.calls.calls.values())[calls:]]
    assert [function.name for function in made] == ["fetch_checkpoint", "download"]
    assert made[1].definition.autoscaler_settings.max_containers == 1, "no file has two writers"
    return done


@pytest.fixture(scope="module")
def first(
    fetched: subprocess.CompletedProcess[str], runner: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The first picture ever drawn on that Volume."""
    out = tmp_path_factory.mktemp("first")
    return runner.modal("run", SHELL, *FLAGS, "--seed", "5", "--out", str(out)), out


First = tuple[subprocess.CompletedProcess[str], Path]


def test_it_draws_saves_and_says_what_it_took(first: First, plane: ControlPlane) -> None:
    done, out = first
    (path,) = out.iterdir()
    assert re.fullmatch(r"output_\d{8}_\d{6}\.png", path.name)
    assert str(path) in done.stdout
    with Pillow.open(path) as picture:
        assert picture.size == (128, 128)
        record = json.loads(picture.info["nova_graph"])
    task = plane.containers.of(ARTIST)[-1].task
    (timed,) = (each for each in read_entries(plane.volume(FILES) / "timing") if each["container"] == task)
    assert (record["inputs"]["seed"], record["environment"]) == (5, timed["environment"])
    assert record["environment"].startswith("cpu|float32|torch="), "where the container computed it"
    assert "sampler (Sampler) finished" in done.stderr
    assert re.search(r"s in all; .*cold start \d+\.\d s; 6 nodes ran, 0 cached", done.stderr)
    printed = "".join(plane.containers.of(ARTIST)[-1].printed)
    assert "before the snapshot" not in printed, "where none is taken, only what the graph needs is loaded"
    assert not plane.unanswered()


def test_the_checkpoint_came_from_the_secrets_address_which_nobody_sees(
    first: First, fetched: subprocess.CompletedProcess[str], plane: ControlPlane
) -> None:
    done, _ = first
    assert (plane.volume(FILES) / "checkpoint" / "anime.safetensors").is_file()
    printed = "".join(line for each in plane.containers.containers.values() for line in each.printed)
    assert "anime.safetensors" in fetched.stdout + fetched.stderr
    assert "hidden-word" not in fetched.stdout + fetched.stderr + done.stdout + done.stderr + printed


def test_a_full_hit_asks_for_no_gpu(first: First, runner: Cloud, plane: ControlPlane, out: Path) -> None:
    before = gpu_containers(plane)
    done = runner.modal("run", SHELL, *FLAGS, "--seed", "5", "--out", str(out))
    assert "no GPU was asked" in done.stderr
    assert gpu_containers(plane) == before
    (again,), (once,) = out.iterdir(), first[1].iterdir()
    assert again.read_bytes() == once.read_bytes()


def test_a_second_container_starts_with_what_the_first_one_knew(
    first: First, runner: Cloud, plane: ControlPlane, out: Path
) -> None:
    before = gpu_containers(plane)
    done = runner.modal("run", SHELL, *FLAGS, "--seed", "6", "--out", str(out))
    assert gpu_containers(plane) == before + 1
    assert "encoder (Encoder) cached (disk)" in done.stderr
    assert "sampler (Sampler) finished" in done.stderr
    timings = {path.stem for path in (plane.volume(FILES) / "timing").iterdir()}
    assert {each.task for each in plane.containers.of(ARTIST)[-2:]} == timings, "each container has its own file"


def test_the_report_of_all_calls_is_printed(first: First, runner: Cloud) -> None:
    done = runner.modal("run", f"{SHELL}::timing_report")
    assert re.search(r"^calls: [1-9]\d*$", done.stdout, re.MULTILINE), done.stdout
    assert "prices_as_of: 2026-07-01" in done.stdout


def test_a_deployed_container_has_the_checkpoint_in_its_snapshot(
    first: First, runner: Cloud, plane: ControlPlane, out: Path
) -> None:
    deployed = replace(runner, settings={**runner.settings, "NOVA_MODAL_APP": "with-snapshots"})
    snapshots = plane.containers.checkpoints
    deployed.modal("deploy", SHELL)
    done = deployed.nova_graph("run", "graphs/default.yaml", "--on", "modal", *FLAGS, "--seed", "7", "--out", str(out))
    assert plane.containers.checkpoints == snapshots + 1
    assert "3 models are loaded before the snapshot" in "".join(plane.containers.of(ARTIST)[-1].printed)
    assert re.search(r"not priced; cold start \d+\.\d s; \d nodes ran, \d cached", done.stderr)


def test_a_mistake_costs_nothing(cloud: Cloud, plane: ControlPlane) -> None:
    calls = len(plane.calls.calls)
    done = cloud.modal("run", SHELL, "--steps", "0", code=1)
    assert "steps must be at least 1, got 0" in done.stderr + done.stdout
    done = cloud.modal("run", SHELL, "--out", "README.md/pictures", code=1)
    assert "the pictures cannot be written to README.md/pictures" in done.stderr + done.stdout
    assert len(plane.calls.calls) == calls


def test_without_a_checkpoint_nobody_pays_for_the_embedded_model(cloud: Cloud, plane: ControlPlane) -> None:
    before = gpu_containers(plane)
    done = cloud.modal("run", SHELL, "--prompt", "1girl", "--steps", "2", code=1)
    told = done.stderr + done.stdout
    assert "CHECKPOINT_URL" in told
    assert "NOVA_ANIME_HF_ID" in told
    assert "Traceback" not in told
    assert gpu_containers(plane) == before


def test_nobody_pays_for_a_file_that_is_no_checkpoint(cloud: Cloud, plane: ControlPlane, tmp_path: Path) -> None:
    lora = tmp_path / "style.safetensors"
    write_safetensors(lora, {"lora_unet_conv_in.lora_down.weight": torch.zeros(2, 4)}, {})
    plane.blobs.contents["style.safetensors"] = lora.read_bytes()
    plane.secrets.named["with-a-lora"] = {"CHECKPOINT_URL": f"{plane.blobs.address}/blobs/style.safetensors"}
    settings = {"NOVA_MODAL_SECRET": "with-a-lora", "NOVA_MODAL_VOLUME": "for-loras"}
    before = gpu_containers(plane)
    done = replace(cloud, settings=settings).modal("run", SHELL, "--prompt", "1girl", "--steps", "2", code=1)
    assert "style.safetensors is a LoRA, not a checkpoint" in done.stderr + done.stdout
    assert "Give it to a LoRA node" in done.stderr + done.stdout
    assert gpu_containers(plane) == before


def test_a_fallback_is_drawn_with_where_there_is_no_checkpoint(cloud: Cloud, plane: ControlPlane, out: Path) -> None:
    settings = {"NOVA_MODAL_FALLBACK_CHECKPOINT": "nova-nano", "NOVA_MODAL_VOLUME": "for-fallbacks"}
    words = ("run", SHELL, *FLAGS, "--seed", "8", "--out", str(out))
    done = replace(cloud, settings=settings).modal(*words)
    assert "drawing with nova-nano instead, because: " in done.stderr
    assert done.stderr.count("No checkpoint was found") == 1
    again = replace(cloud, settings=settings).modal(*words)
    assert "drawn with nova-nano instead, because: " in again.stderr
    assert "no GPU was asked" in again.stderr
    assert len(list(out.iterdir())) == 2


def test_a_checkpoint_comes_from_hugging_face_with_the_secrets_token(cloud: Cloud, plane: ControlPlane) -> None:
    plane.blobs.contents["anime.safetensors"] = (ROOT / "nodes/sdxl/nano/nova-nano.safetensors").read_bytes()
    named = {"NOVA_ANIME_HF_ID": "somebody/anime", "NOVA_ANIME_HF_FILENAME": "anime.safetensors"}
    plane.secrets.named["with-a-repository"] = {**named, "HF_TOKEN": "hf_hidden", "HF_ENDPOINT": plane.blobs.address}
    settings = {"NOVA_MODAL_SECRET": "with-a-repository", "NOVA_MODAL_VOLUME": "for-repositories"}
    plane.blobs.keys.clear()
    done = replace(cloud, settings=settings).modal("run", f"{SHELL}::fetch_checkpoint")
    assert "anime.safetensors" in done.stdout
    assert "hf_hidden" not in done.stdout + done.stderr
    assert (plane.volume("for-repositories") / "checkpoint" / "anime.safetensors").is_file()
    assert plane.blobs.keys["anime.safetensors"] == "Bearer hf_hidden"


def test_a_download_without_a_source_says_where_it_looked(cloud: Cloud) -> None:
    done = cloud.modal("run", f"{SHELL}::fetch_checkpoint", code=1)
    told = done.stderr + done.stdout
    assert "No checkpoint was found; tried in this order:" in told
    assert "Set one of them: docs/checkpoints.md" in told
    assert "graph:1:" not in told, "nobody wrote that graph"


def test_a_download_that_is_refused_says_why_and_shows_no_secret(cloud: Cloud, plane: ControlPlane) -> None:
    url = f"{plane.blobs.address}/blobs/locked.safetensors?token=hidden-word"
    plane.secrets.named["with-a-wrong-key"] = {"CHECKPOINT_URL": url}
    plane.blobs.locked.add("locked.safetensors")
    settings = {"NOVA_MODAL_SECRET": "with-a-wrong-key", "NOVA_MODAL_VOLUME": "for-refusals"}
    done = replace(cloud, settings=settings).modal("run", f"{SHELL}::fetch_checkpoint", code=1)
    told = done.stderr + done.stdout
    assert "locked.safetensors" in done.stderr
    assert "403" in done.stderr
    assert "hidden-word" not in told


def test_a_download_that_the_volume_does_not_take_is_told_so(runner: Cloud, plane: ControlPlane) -> None:
    settings = {**runner.settings, "NOVA_MODAL_VOLUME": "for-nothing"}
    plane.volumes.is_full = True
    try:
        done = replace(runner, settings=settings).modal("run", f"{SHELL}::fetch_checkpoint", code=1)
    finally:
        plane.volumes.is_full = False
    assert "the Volume does not take what was downloaded" in done.stderr + done.stdout
    assert "modal volume rm" in done.stderr + done.stdout


@pytest.mark.parametrize("words", [(f"{SHELL}::fetch_checkpoint",), (SHELL, "--prompt", "1girl")], ids=["fetch", "run"])
def test_a_download_that_takes_too_long_is_told_with_its_own_limit(
    cloud: Cloud, plane: ControlPlane, words: tuple[str, ...]
) -> None:
    plane.blobs.endless.add("endless.safetensors")
    plane.secrets.named["with-an-endless-url"] = {"CHECKPOINT_URL": f"{plane.blobs.address}/blobs/endless.safetensors"}
    settings = {"NOVA_MODAL_SECRET": "with-an-endless-url", "NOVA_MODAL_VOLUME": "for-endless-downloads"}
    plane.blobs.asked.clear()
    process = replace(cloud, settings=settings).begin("modal", "run", *words)
    wait_for(lambda: "endless.safetensors" in plane.blobs.asked, "the download to begin")
    plane.expire("download")
    told = "".join(process.communicate(timeout=60))
    assert process.returncode == 1
    assert "the download took longer than the 3600 s that it may take" in told
    assert "put it on the Volume" in told
    assert "NOVA_MODAL_TIMEOUT" not in told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"NOVA_MODAL_GPU": "A100-40G"}, "there is no GPU 'A100-40G'\n  Did you mean A100-40GB?"),
        ({"NOVA_MODAL_GPUS": "L4"}, "there is no setting NOVA_MODAL_GPUS\n  Did you mean NOVA_MODAL_GPU?"),
        ({"NOVA_MODAL_APP": "other", "NOVA_MODAL_SECRET": "nowhere"}, "Secret 'nowhere' not found"),
    ],
)
def test_wrong_settings_deploy_nothing(
    cloud: Cloud, plane: ControlPlane, settings: dict[str, str], message: str
) -> None:
    functions = len(plane.requests("AppPublish"))
    done = replace(cloud, settings=settings).modal("deploy", SHELL, code=1)
    assert message in done.stderr + done.stdout
    assert len(plane.requests("AppPublish")) == functions


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("nova_graph/modal/image.py", '"engine", "nodes", "nova_graph"', '"engine", "nova_graph"', "nodes"),
        ("nova_graph/modal/containers.py", "import random\n", "import random\n\nimport hypothesis\n", "hypothesis"),
    ],
)
def test_what_the_image_lacks_is_noticed(
    cloud: Cloud, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    """A package of the source that is not uploaded; a package that is installed here but not in the image."""
    copy = copied_project(tmp_path / "project")
    source = (copy / file).read_text()
    assert old in source
    (copy / file).unlink()
    (copy / file).write_text(source.replace(old, new))
    done = replace(cloud, project=copy).modal("run", f"{SHELL}::timing_report", code=1)
    assert f"No module named '{message}'" in done.stderr + done.stdout


def copied_project(folder: Path) -> Path:
    folder.mkdir()
    for name in ("engine", "nodes", "nova_graph", "graphs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (SHELL, "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder / name)
    return folder
