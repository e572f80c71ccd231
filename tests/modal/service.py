"""What tests ask of the deployed HTTP service."""

import json
from typing import Any

import httpx

from tests.modal.control_plane.plane import ControlPlane
from tests.modal.control_plane.waiting import wait_for

SMALL = {"checkpoint": "nova-nano", "steps": 2, "face": False, "pag_scale": 0, "prompt": "1girl, green hair"}
LONG = {**SMALL, "steps": 150, "pag_scale": 3.0, "width": 512, "height": 512}
FLAGS = ("--checkpoint", "nova-nano", "--steps", "2", "--no-face", "--pag-scale", "0", "--prompt", "1girl, green hair")


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
    wait_for(lambda: bool(pieces(plane, job_id, b'"progress"', b"sampler")), "progress")


def pieces(plane: ControlPlane, job_id: str, *words: bytes) -> list[bytes]:
    """Return the pieces of a job's events, as they are kept, that have all these words in them."""
    kept = [item for each in plane.dicts.dicts.values() for item in each.items()]
    mine = [value for key, value in kept if f"events/{job_id}".encode() in key]
    return [value for value in mine if all(word in value for word in words)]
