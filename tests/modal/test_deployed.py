"""`modal deploy runtime_modal.py`: HTTP through the deployed application, and the command line."""

import json
from dataclasses import replace
from pathlib import Path

import httpx

from tests.modal.cloud import ARTIST, SECRET, SHELL, VOLUME, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.service import FLAGS, SMALL, state

WORDS = """\
nova: 1
nodes:
  loader: {type: CheckpointLoader, inputs: {checkpoint: nova-nano}}
  encoder: {type: Encoder, inputs: {text_encoders: $loader.text_encoders, prompt: 1girl}}
outputs: {conditioning: $encoder.conditioning}
"""


def test_health_and_keys_need_no_gpu(http: httpx.Client, plane: ControlPlane) -> None:
    before, calls = len(plane.alive(ARTIST)), len(plane.calls.calls)
    assert http.get("/health").json()["status"] == "ok"
    body = {"graph": "default", "inputs": {**SMALL, "seed": 10}}
    assert http.post("/v1/check", json=body).json()["nodes"] == 6
    planned = http.post("/v1/plan", json=body).json()
    assert ("sampler", "run") in [(step["node"], step["status"]) for step in planned["steps"]], planned
    assert http.get("/v1/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    wrong = http.post("/predict", json={**SMALL, "steps": 0})
    assert wrong.status_code == 422
    assert "steps must be at least 1" in wrong.text
    missing = http.post("/predict", json={**SMALL, "checkpoint": "auto"})
    assert missing.status_code in (404, 409, 422), missing.text
    asked = [each.function_id for each in list(plane.calls.calls.values())[calls:]]
    assert {plane.functions.functions[each].name for each in asked} == {"web"}
    assert len(plane.alive(ARTIST)) == before


def test_predict_gives_a_picture_and_then_knows_it(http: httpx.Client, plane: ControlPlane) -> None:
    first = http.post("/predict", json={**SMALL, "seed": 11})
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "image/png"
    assert first.content.startswith(b"\x89PNG")
    assert float(first.headers["x-cold-start-seconds"]) > 0
    assert plane.containers.checkpoints == 1, "the container took a snapshot after its imports and went on from it"
    assert first.headers["x-seed"] == "11"
    calls = len(plane.calls.calls)
    again = http.post("/predict", json={**SMALL, "seed": 11})
    assert again.content == first.content
    asked = [each.function_id for each in list(plane.calls.calls.values())[calls:]]
    assert plane.functions.find(ARTIST).id not in asked, "a full hit is answered without a GPU"


def test_strangers_name_no_paths(http: httpx.Client) -> None:
    answer = http.post("/predict", json={**SMALL, "checkpoint": "/root/nodes/sdxl/nano/nova-nano.safetensors"})
    assert answer.status_code in (404, 422), answer.text
    assert "is not a plain name" in answer.text


def test_jobs_are_listed_and_an_idempotency_key_gives_the_same_one(http: httpx.Client) -> None:
    body = {"graph": "default", "inputs": {**SMALL, "seed": 11}}
    header = {"Idempotency-Key": "once-please"}
    one, other = (http.post("/v1/jobs", json=body, headers=header).json() for _ in range(2))
    assert one["id"] == other["id"]
    listed = http.get("/v1/jobs").json()["jobs"]
    assert one["id"] in [each["id"] for each in listed]


def test_jobs_outlive_the_container_that_took_them(http: httpx.Client, plane: ControlPlane) -> None:
    before = [each["id"] for each in http.get("/v1/jobs").json()["jobs"]]
    (old,) = plane.alive("web")
    plane.scale_down("web")
    assert [each["id"] for each in http.get("/v1/jobs").json()["jobs"]] == before
    assert plane.alive("web") != [old]
    done = next(each for each in before if state(http, each) == "done")
    assert http.get(f"/v1/jobs/{done}/images/0").content.startswith(b"\x89PNG")


def test_a_checkpoint_that_is_not_downloaded_yet_starts_no_gpu(http: httpx.Client, plane: ControlPlane) -> None:
    calls = len(plane.calls.calls)
    plane.scale_down("web")
    plane.secrets.named[SECRET]["CHECKPOINT_URL"] = f"{plane.blobs.address}/blobs/later.safetensors?token=hidden-word"
    try:
        answer = http.post("/predict", json={**SMALL, "checkpoint": "auto"})
    finally:
        plane.secrets.named[SECRET].pop("CHECKPOINT_URL")
        plane.scale_down("web")
    assert answer.status_code in (404, 422), answer.text
    assert "is not on the Volume yet" in answer.text
    assert "modal run runtime_modal.py::fetch_checkpoint" in answer.text
    assert "hidden-word" not in answer.text
    asked = [each.function_id for each in list(plane.calls.calls.values())[calls:]]
    assert plane.functions.find(ARTIST).id not in asked


def test_what_modal_is_asked_for(deployed: Cloud, plane: ControlPlane) -> None:
    artist = plane.functions.find(ARTIST)
    asked = artist.definition
    assert artist.gpus == ("A100-40GB",)
    assert asked.autoscaler_settings.max_containers == 4
    assert asked.autoscaler_settings.min_containers == 0
    assert asked.autoscaler_settings.scaledown_window == 120
    assert (asked.timeout_secs, asked.startup_timeout_secs) == (900, 600)
    assert asked.checkpointing_enabled
    assert asked.max_concurrent_inputs == 0, "pipelines are used by one call at a time"
    assert not asked.class_parameter_info.schema, "all checkpoints share the containers"
    assert not any(each.definition.retry_policy.retries for each in plane.functions.functions.values())
    assert [mount.mount_path for mount in asked.volume_mounts] == ["/cache"]
    assert VOLUME in plane.volumes.named
    assert len(asked.secret_ids) == 1
    web = plane.functions.find("web").definition
    assert web.max_concurrent_inputs == 100
    assert web.timeout_secs == 3600
    for name in ("web", "prepare_all", "fetch_checkpoint", "timing_report"):
        assert plane.functions.find(name).gpus == ("",), name
    assert plane.functions.find("download").definition.timeout_secs == 3600
    for name in ("prepare_all", "fetch_checkpoint"):
        assert plane.functions.find(name).definition.timeout_secs == 3900, "it hears that a download took too long"
    assert plane.images.environ(asked.image_id)["NOVA_REQUIRE_CHECKPOINT"] == "1"


def test_every_data_file_is_uploaded(deployed: Cloud, source: set[str], plane: ControlPlane) -> None:
    seen = plane.mounts.names(plane.functions.find(ARTIST).definition.mount_ids)
    assert source <= seen, sorted(source - seen)
    kinds = {name.rpartition(".")[2] for name in source}
    assert {"yaml", "json", "safetensors", "gz", "py"} <= kinds


def test_the_command_line_runs_a_graph_file_there(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    local = deployed.folder / "local-cache" / "results"
    done = deployed.nova_graph(
        "run", "graphs/default.yaml", "--on", "modal", *FLAGS, "--seed", "21", "--out", str(out), "--json", "--previews"
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert next(each["event"] for each in events if each.get("node") == "sampler") == "started"
    assert events[-1]["event"] == "done"
    assert events[-1]["ran"] + events[-1]["cached"] == 6
    assert any(each.get("preview") for each in events)
    (picture,) = out.iterdir()
    assert events[-1]["pictures"][0]["path"] == str(picture)
    assert "GPU" in done.stderr or "on a processor, not priced" in done.stderr
    assert not local.exists(), "nothing was computed here"


def test_a_sweep_fans_out_and_one_failure_spoils_no_other(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    calls = len(plane.calls.calls)
    words = ("run", "graphs/default.yaml", "--on", "modal", *FLAGS, "--out", str(out))
    done = deployed.nova_graph(*words, "--sweep", "seed=22,23", "--sweep", "cfg=4,5", "--grid")
    assert len(list(out.iterdir())) == 5
    assert len(done.stdout.splitlines()) == 5
    assert "default-grid-" in done.stdout.splitlines()[4]
    assert "4 of 4: " in done.stderr
    assert "4 GPU calls in all: " in done.stderr
    made = [each.function_id for each in list(plane.calls.calls.values())[calls:]]
    names = [plane.functions.functions[each].name for each in made]
    assert sorted(names) == [*[ARTIST] * 4, "prepare_all"], "one call to prepare them all, one for each picture"
    one = deployed.nova_graph(*words, "--sweep", "seed=22", "--sweep", "cfg=4", "--grid")
    assert ["default-grid-" in line for line in one.stdout.splitlines()] == [False, True]
    mixed = deployed.nova_graph(
        "run", "graphs/default.yaml", "--on", "modal", "--steps", "2", "--no-face", "--pag-scale", "0",
        "--prompt", "1girl, green hair", "--seed", "22", "--out", str(out), "--sweep", "checkpoint=nova-nano,auto",
        code=1,
    )  # fmt: skip
    assert "2 of 2 failed: " in mixed.stderr
    assert len(list(out.iterdir())) == 8


def test_mistakes_of_the_command_line_ask_modal_for_nothing(deployed: Cloud, plane: ControlPlane) -> None:
    asked = len(plane.requests("FunctionGet")) + len(plane.requests("ClassGet"))
    wrong = deployed.nova_graph("run", "graphs/default.yaml", "--on", "modal", "--steps", "0", code=2)
    assert "steps must be at least 1" in wrong.stderr
    elsewhere = deployed.nova_graph("run", "graphs/default.yaml", "--on", "moon", code=2)
    assert "Use local or modal." in elsewhere.stderr
    swept = deployed.nova_graph("run", "graphs/default.yaml", "--on", "modal", "--sweep", "steps=4,0", code=2)
    assert "--sweep steps must be at least 1" in swept.stderr
    words = ("run", "graphs/default.yaml", "--on", "modal", "--out", "README.md/pictures")
    nowhere = deployed.nova_graph(*words, code=2)
    assert "the pictures cannot be written to README.md/pictures" in nowhere.stderr
    assert len(plane.requests("FunctionGet")) + len(plane.requests("ClassGet")) == asked


def test_a_graph_without_pictures_needs_no_folder_for_them(deployed: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "number.yaml"
    path.write_text(WORDS)
    words = ("run", str(path), "--out", "README.md/pictures")
    here, there = deployed.nova_graph(*words), deployed.nova_graph(*words, "--on", "modal")
    assert here.stdout == there.stdout


def test_an_app_that_is_not_deployed_is_named(deployed: Cloud) -> None:
    other = replace(deployed, settings={"NOVA_MODAL_APP": "never-deployed"})
    done = other.nova_graph("run", "graphs/default.yaml", "--on", "modal", *FLAGS, code=1)
    assert "never-deployed is not deployed" in done.stderr
    assert "modal deploy runtime_modal.py" in done.stderr


def test_a_missing_token_is_told_with_the_way_to_one(cloud: Cloud) -> None:
    nobody = replace(cloud, settings={"MODAL_TOKEN_ID": "", "MODAL_TOKEN_SECRET": ""})
    done = nobody.nova_graph("run", "graphs/default.yaml", "--on", "modal", *FLAGS, code=1)
    assert "Modal does not know you: Token missing." in done.stderr
    assert done.stderr.endswith("Run: modal token new\n")


def test_gpus_are_asked_for_in_order_and_settings_reach_the_containers(cloud: Cloud, plane: ControlPlane) -> None:
    names = {"NOVA_MODAL_APP": "choosy", "NOVA_MODAL_SECRET": "none"}
    scales = {"SCALEDOWN": "30", "MIN_CONTAINERS": "2", "MAX_CONTAINERS": "7"}
    times = {"TIMEOUT": "400", "STARTUP_TIMEOUT": "200"}
    machine = {"GPU": "l40s, A100-80GB,H100!", "CPU": "3", "MEMORY": "4096", "REGION": "us-east"}
    others = {"VOLUME": "for-choosy", "SNAPSHOT": "0", "GPU_SNAPSHOT": "1", "PROXY_AUTH": "1"}
    chosen = {f"NOVA_MODAL_{name}": value for name, value in {**scales, **times, **machine, **others}.items()}
    replace(cloud, settings={**names, **chosen}).modal("deploy", SHELL)
    artist = plane.functions.find(ARTIST)
    assert artist.gpus == ("L40S", "A100-80GB", "H100!")
    asked = artist.definition
    scaling = asked.autoscaler_settings
    assert (scaling.scaledown_window, scaling.min_containers, scaling.max_containers) == (30, 2, 7)
    assert (asked.timeout_secs, asked.startup_timeout_secs) == (400, 200)
    assert (asked.resources.milli_cpu, asked.resources.memory_mb) == (3000, 4096)
    assert list(asked.scheduler_placement.regions) == ["us-east"]
    assert [mount.volume_id for mount in asked.volume_mounts] == [plane.volumes.named["for-choosy"]]
    assert not asked.checkpointing_enabled
    assert dict(asked.experimental_options) == {"enable_gpu_snapshot": "True"}
    assert not asked.secret_ids
    assert plane.images.environ(asked.image_id)["NOVA_MODAL_APP"] == "choosy"
    assert plane.functions.find("web").definition.webhook_config.requires_proxy_auth
    assert not plane.unanswered()


def test_a_graph_without_pictures_asks_for_no_folder(deployed: Cloud) -> None:
    path = deployed.folder / "loader.yaml"
    loader = "{type: CheckpointLoader, inputs: {checkpoint: nova-nano}}"
    path.write_text(f"nova: 1\nnodes: {{loader: {loader}}}\noutputs: {{model: $loader.model}}\n")
    deployed.nova_graph("run", str(path), "--on", "modal", "--out", "README.md/pictures")
