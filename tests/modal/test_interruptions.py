"""Calls that are cancelled, lost, preempted, out of time, or that cannot write down what they did."""

import signal
from pathlib import Path

import httpx

from tests.modal.cloud import ARTIST, SECRET, Cloud
from tests.modal.control_plane.calls import Call
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.control_plane.waiting import wait_for
from tests.modal.service import LONG, SMALL, begun, job, pieces, state, told

SLOW = ("--steps", "150", "--no-face", "--width", "512", "--height", "512")
"""Slow enough to be stopped on any machine."""


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
    kept = [each.get("where") for each in told(http, after.headers["x-job-id"])]
    assert "memory" in kept, "the conditioning of the cancelled job is at hand"
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


def test_a_container_whose_device_is_broken_gets_no_further_call(http: httpx.Client, plane: ControlPlane) -> None:
    assert http.post("/predict", json={**SMALL, "seed": 61}).status_code == 200
    (broken,) = plane.alive(ARTIST)
    lose = {"nova": 1, "nodes": {"n": {"type": "Lose"}}, "outputs": {"n": "$n.value"}}
    answer = http.post("/v1/jobs", json={"graph": lose}, params={"wait": 60}).json()
    assert (answer["state"], "CUDA error" in answer["error"]) == ("failed", True), answer
    again = http.post("/predict", json={**SMALL, "seed": 62})
    assert again.status_code == 200, again.text
    assert float(again.headers["x-cold-start-seconds"]) > 0
    wait_for(lambda: broken.is_gone, "the broken container to leave")


def test_a_preempted_job_is_not_over_and_goes_on_elsewhere(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 17})
    begun(http, plane, job_id)
    plane.preempt(ARTIST)
    assert state(http, job_id) == "running"
    wait_for(lambda: len(pieces(plane, job_id, b'"planned"')) == 2, "the job to be begun again")
    http.delete(f"/v1/jobs/{job_id}")
    wait_for(lambda: state(http, job_id) == "cancelled", "the job to be cancelled")
    names = [each["event"] for each in told(http, job_id)]
    assert (names.count("planned"), names.count("done"), names[-1]) == (2, 1, "done")


def test_a_volume_that_takes_nothing_costs_no_picture(http: httpx.Client, plane: ControlPlane) -> None:
    plane.volumes.is_full = True
    try:
        answer = http.post("/predict", json={**SMALL, "seed": 18})
    finally:
        plane.volumes.is_full = False
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\x89PNG")
    printed = "".join(plane.containers.of(ARTIST)[-1].printed)
    assert "the results of this call are not on the Volume" in printed


def test_a_job_that_takes_too_long_is_told_so(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 16})
    begun(http, plane, job_id)
    plane.expire(ARTIST)
    wait_for(lambda: state(http, job_id) == "failed", "the job to fail")
    assert "longer than a call may" in http.get(f"/v1/jobs/{job_id}").text


def test_a_job_that_nobody_cancelled_is_failed_where_its_call_is_ended(http: httpx.Client, plane: ControlPlane) -> None:
    job_id = job(http, {**LONG, "seed": 29})
    begun(http, plane, job_id)
    plane.end(ARTIST)
    wait_for(lambda: state(http, job_id) == "failed", "the job to fail")
    assert "Modal ended the call: app stopped" in http.get(f"/v1/jobs/{job_id}").text


def test_a_job_runs_no_longer_than_the_secret_says(http: httpx.Client, plane: ControlPlane) -> None:
    assert http.post("/predict", json={**SMALL, "seed": 20}).status_code == 200
    (container,) = plane.alive(ARTIST)
    plane.scale_down("web")
    plane.secrets.named[SECRET]["NOVA_JOB_SECONDS"] = "1"
    try:
        job_id = job(http, {**LONG, "seed": 19})
        wait_for(lambda: state(http, job_id) == "failed", "the job to fail")
        assert "the job took longer than the 1 s it may take" in http.get(f"/v1/jobs/{job_id}").text
        assert [each["event"] for each in told(http, job_id)[-2:]] == ["error", "done"]
        assert plane.alive(ARTIST) == [container], "it was stopped between steps: what is loaded stays"
    finally:
        plane.secrets.named[SECRET].pop("NOVA_JOB_SECONDS")
        plane.scale_down("web")


def test_ctrl_c_cancels_the_call_and_the_container_stays(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    large = ("--width", "512", "--height", "512")  # slow enough to be stopped on any machine
    flags = ("--checkpoint", "nova-nano", "--steps", "150", "--no-face", "--seed", "24", *large)
    process = deployed.begin("nova-graph", "run", "graphs/default.yaml", "--on", "modal", *flags, "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if '"progress"' in line:
            break
    (before,) = plane.alive(ARTIST)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not plane.calls.running(before.task), "the call to end")
    assert plane.requests("FunctionCallCancel")
    assert plane.alive(ARTIST) == [before]


def test_ctrl_c_while_a_container_starts_takes_the_call_back(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    plane.scale_down(ARTIST)
    before = set(plane.calls.calls)
    flags = ("--checkpoint", "nova-nano", "--steps", "150", "--no-face", "--seed", "28", "--out", str(out))
    process = deployed.begin("nova-graph", "run", "graphs/default.yaml", "--on", "modal", *flags)
    wait_for(lambda: bool(plane.alive(ARTIST)), "a container to start")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    (call,) = drawings(plane, before)
    wait_for(lambda: call.is_over, "the call to end")
    assert not any(b"planned" in chunk.data for chunk in call.data_out), "nothing was drawn"
    assert plane.alive(ARTIST), "the container stays"


def test_a_run_of_a_sweep_that_takes_too_long_is_told_with_what_to_set(
    deployed: Cloud, plane: ControlPlane, out: Path
) -> None:
    before = set(plane.calls.calls)
    sweep = ("--sweep", "checkpoint=auto,nova-nano", "--out", str(out))
    process = deployed.begin("nova-graph", "run", "graphs/default.yaml", "--on", "modal", *SLOW, "--seed", "32", *sweep)
    wait_for(lambda: any(call.inputs[0].task for call in drawings(plane, before)), "the run to begin")
    plane.expire(ARTIST)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "1 of 2 failed: " in told
    assert "2 of 2 failed: the call took longer than 900 s\n  Set NOVA_MODAL_TIMEOUT and deploy again.\n" in told
    assert "1 GPU calls in all: what 1 took is not known" in told


def drawings(plane: ControlPlane, before: set[str]) -> list[Call]:
    """Return the calls of GPU classes that are not among those before."""
    new = [call for key, call in list(plane.calls.calls.items()) if key not in before]
    return [call for call in new if plane.functions.functions[call.function_id].name == ARTIST]


def test_ctrl_c_cancels_every_run_of_a_sweep(deployed: Cloud, plane: ControlPlane, out: Path) -> None:
    before = set(plane.calls.calls)
    flags = ("--checkpoint", "nova-nano", "--steps", "150", "--no-face", "--width", "512", "--height", "512")
    words = ("run", "graphs/default.yaml", "--on", "modal", *flags, "--sweep", "seed=25,26,27", "--out", str(out))
    process = deployed.begin("nova-graph", *words)

    def runs() -> list[Call]:
        return drawings(plane, before)

    wait_for(lambda: len(runs()) == 3 and any(call.inputs[0].task for call in runs()), "the sweep to run")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert all(call.inputs[0].is_cancelled for call in runs())
    wait_for(lambda: all(call.is_over for call in runs()), "all runs to end")
    assert not out.exists()


def test_ctrl_c_in_a_sweep_tells_what_the_runs_took_that_were_over(
    deployed: Cloud, plane: ControlPlane, out: Path
) -> None:
    before = set(plane.calls.calls)
    flags = ("--checkpoint", "nova-nano", "--no-face", "--width", "512", "--height", "512", "--seed", "31")
    words = ("run", "graphs/default.yaml", "--on", "modal", *flags, "--sweep", "steps=1,149,150", "--out", str(out))
    process = deployed.begin("nova-graph", *words)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(str(out))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 GPU calls in all: " in told
    assert "2 runs were not over: what they took is not in it" in told
    wait_for(lambda: all(call.is_over for call in drawings(plane, before)), "all runs to end")
    assert len(list(out.iterdir())) == 1
