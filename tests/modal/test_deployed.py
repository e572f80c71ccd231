"""`modal deploy runtime_modal.py`: HTTP through the deployed application, cancel, crash, the command line."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.modal.cloud import ARTIST, KEY, SHELL, VOLUME, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.control_plane.waiting import wait_for

SMALL = {"checkpoint": "nova-nano", "steps": 2, "face": False, "pag_scale": 0, "prompt": "1girl, green hair"}
LONG = {**SMALL, "steps": 150, "pag_scale": 3.0, "width": 512, "height": 512}


@pytest.fixture(scope="module")
def http(deployed: Cloud, plane: ControlPlane) -> Iterator[httpx.Client]:
    url = plane.functions.find("web").metadata.web_url
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=90) as client:
        yield client


def job(http: httpx.Client, inputs: dict[str, Any]) -> str:
    answer = http.post("/v1/jobs", json={"graph": "default", "inputs": inputs})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def state(http: httpx.Client, job_id: str) -> str:
    return str(http.get(f"/v1/jobs/{job_id}").json()["state"])


def told(http: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    text = http.get(f"/v1/jobs/{job_id}/events").text
    return [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]


def begun(http: httpx.Client, plane: ControlPlane, job_id: str) -> None:
    """Wait until a job is at its long node."""
    wait_for(lambda: state(http, job_id) == "running", "the job to run")
    store = plane.dicts.dicts["di-nova-anime-ilxl-jobs"]

    def has_progress() -> bool:
        mine = [value for key, value in list(store.items()) if f"events/{job_id}".encode() in key]
        return any(b'"progress"' in value and b"sampler" in value for value in mine)

    wait_for(has_progress, "progress")


def test_health_and_keys_need_no_gpu(http: httpx.Client, plane: ControlPlane) -> None:
    before = len(plane.alive(ARTIST))
    assert http.get("/health").json()["status"] == "ok"
    assert http.get("/v1/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    wrong = http.post("/predict", json={**SMALL, "steps": 0})
    assert wrong.status_code == 422
    assert "steps must be at least 1" in wrong.text
    missing = http.post("/predict", json={**SMALL, "checkpoint": "auto"})
    assert missing.status_code in (404, 409, 422), missing.text
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


def test_a_cancelled_job_leaves_a_warm_container(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 12})
    begun(http, plane, job_id)
    (container,) = plane.alive(ARTIST)
    http.delete(f"/v1/jobs/{job_id}")
    wait_for(lambda: state(http, job_id) == "cancelled", "the job to be cancelled")
    assert told(http, job_id)[-1]["outcome"] == "cancelled"
    commits = len(plane.volumes.commits)
    after = http.post("/predict", json={**SMALL, "seed": 13})
    assert after.status_code == 200, after.text
    assert float(after.headers["x-cold-start-seconds"]) == 0
    assert plane.alive(ARTIST) == [container]
    assert [task for _, task in plane.volumes.commits[commits:]].count(container.task) == 1, "one call, one commit"


def test_a_lost_container_is_told_and_the_next_job_gets_another(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 14})
    begun(http, plane, job_id)
    plane.kill(ARTIST)
    wait_for(lambda: state(http, job_id) == "failed", "the job to fail")
    assert "the container was lost" in http.get(f"/v1/jobs/{job_id}").text
    last = told(http, job_id)
    assert [each["event"] for each in last[-2:]] == ["error", "done"]
    again = http.post("/predict", json={**SMALL, "seed": 15})
    assert again.status_code == 200, again.text
    assert float(again.headers["x-cold-start-seconds"]) > 0
    kept = http.get(f"/v1/jobs/{again.headers['x-job-id']}/events").text
    assert '"where":"disk"' in kept.replace(" ", ""), "the conditioning of the lost container was on the Volume"


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
    assert asked.retry_policy.retries == 0
    assert [mount.mount_path for mount in asked.volume_mounts] == ["/cache"]
    assert VOLUME in plane.volumes.named
    assert len(asked.secret_ids) == 1
    web = plane.functions.find("web").definition
    assert web.max_concurrent_inputs == 100
    assert web.timeout_secs == 3600
    for name in ("web", "prepare", "fetch_checkpoint", "timing_report"):
        assert plane.functions.find(name).gpus == ("",), name
    assert plane.functions.find("fetch_checkpoint").definition.timeout_secs == 3600
    assert plane.images.environ(asked.image_id)["NOVA_REQUIRE_CHECKPOINT"] == "1"


def test_every_data_file_is_uploaded(deployed: Cloud, source: set[str], plane: ControlPlane) -> None:
    seen = plane.mounts.names(plane.functions.find(ARTIST).definition.mount_ids)
    assert source <= seen, sorted(source - seen)
    kinds = {name.rpartition(".")[2] for name in source}
    assert {"yaml", "json", "safetensors", "gz", "py"} <= kinds


SCRIPT = """
import io, modal
from PIL import Image
artist = modal.Cls.from_name("nova-anime-ilxl", "NovaAnime")()
inputs = {"checkpoint": "nova-nano", "steps": 2, "face": False, "pag_scale": 0, "seed": 31, "count": 2}
pictures = artist.predict.remote(inputs)
one, other = (Image.open(io.BytesIO(data)) for data in (pictures[0], artist.predict_one.remote(inputs)))
print(len(pictures), one.tobytes() == other.tobytes())
print(artist.get_timing_report.remote()["calls"] > 0)
print(modal.Function.from_name("nova-anime-ilxl", "timing_report").remote())
try:
    artist.predict.remote({"steps": 0})
except RuntimeError as error:
    print(error)
"""


def test_the_class_can_be_called_from_a_script(deployed: Cloud) -> None:
    told = deployed.python(SCRIPT).stdout
    assert "2 True" in told
    assert "'prices_as_of': '2026-07-01'" in told
    assert "steps must be at least 1" in told


FLAGS = ("--checkpoint", "nova-nano", "--steps", "2", "--no-face", "--pag-scale", "0", "--prompt", "1girl, green hair")


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
    calls = len(plane.requests("FunctionPutInputs"))
    words = ("run", "graphs/default.yaml", "--on", "modal", *FLAGS, "--out", str(out))
    done = deployed.nova_graph(*words, "--sweep", "seed=22,23", "--sweep", "cfg=4,5")
    assert len(list(out.iterdir())) == 4
    assert len(done.stdout.splitlines()) == 4
    assert "4 of 4: " in done.stderr
    mapped = [each for request in plane.requests("FunctionPutInputs")[calls:] for each in request.inputs]
    assert len(mapped) == 4, "Modal's own map was given all of them"
    mixed = deployed.nova_graph(
        "run", "graphs/default.yaml", "--on", "modal", "--steps", "2", "--no-face", "--pag-scale", "0",
        "--prompt", "1girl, green hair", "--seed", "22", "--out", str(out), "--sweep", "checkpoint=nova-nano,auto",
        code=1,
    )  # fmt: skip
    assert "2 of 2 failed: " in mixed.stderr
    assert len(list(out.iterdir())) == 5


def test_ctrl_c_cancels_the_call_and_the_container_stays(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    (before,) = plane.alive(ARTIST)
    large = ("--width", "512", "--height", "512")  # slow enough to be stopped on any machine
    flags = ("--checkpoint", "nova-nano", "--steps", "150", "--no-face", "--seed", "24", *large)
    process = deployed.begin("nova-graph", "run", "graphs/default.yaml", "--on", "modal", *flags, "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if '"progress"' in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not plane.calls.running(before.task), "the call to end")
    assert plane.requests("FunctionCallCancel")
    assert plane.alive(ARTIST) == [before]


def test_mistakes_of_the_command_line_ask_modal_for_nothing(deployed: Cloud, plane: ControlPlane) -> None:
    asked = len(plane.requests("FunctionGet")) + len(plane.requests("ClassGet"))
    wrong = deployed.nova_graph("run", "graphs/default.yaml", "--on", "modal", "--steps", "0", code=2)
    assert "steps must be at least 1" in wrong.stderr
    elsewhere = deployed.nova_graph("run", "graphs/default.yaml", "--on", "moon", code=2)
    assert "Use local or modal." in elsewhere.stderr
    swept = deployed.nova_graph("run", "graphs/default.yaml", "--sweep", "seed=1,2", code=2)
    assert "add --on modal" in swept.stderr
    assert len(plane.requests("FunctionGet")) + len(plane.requests("ClassGet")) == asked


def test_an_app_that_is_not_deployed_is_named(deployed: Cloud) -> None:
    other = replace(deployed, settings={"NOVA_MODAL_APP": "never-deployed"})
    done = other.nova_graph("run", "graphs/default.yaml", "--on", "modal", *FLAGS, code=1)
    assert "never-deployed is not deployed" in done.stderr
    assert "modal deploy runtime_modal.py" in done.stderr


def test_gpus_are_asked_for_in_order_and_settings_reach_the_containers(cloud: Cloud, plane: ControlPlane) -> None:
    names = {"NOVA_MODAL_APP": "choosy", "NOVA_MODAL_SECRET": "none"}
    settings = {**names, "NOVA_MODAL_GPU": "l40s, A100-80GB,H100!", "NOVA_MODAL_SCALEDOWN": "30"}
    replace(cloud, settings=settings).modal("deploy", SHELL)
    artist = plane.functions.find(ARTIST)
    assert artist.gpus == ("L40S", "A100-80GB", "H100!")
    assert artist.definition.autoscaler_settings.scaledown_window == 30
    assert not artist.definition.secret_ids
    assert plane.images.environ(artist.definition.image_id)["NOVA_MODAL_APP"] == "choosy"
    assert not plane.unanswered()


def test_a_job_that_takes_too_long_is_told_so(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 16})
    begun(http, plane, job_id)
    plane.expire(ARTIST)
    wait_for(lambda: state(http, job_id) == "failed", "the job to fail")
    assert "longer than a call may" in http.get(f"/v1/jobs/{job_id}").text
