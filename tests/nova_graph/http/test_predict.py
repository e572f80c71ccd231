"""The one call that draws the default graph."""

import base64
import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from nova_graph.http.predict import ALIASES, graph_inputs, wants_json
from nova_graph.http.problems import Trouble
from tests.nova_graph.http.serving import Service, is_problem, serving, wait_until_stored

SMALL = {"prompt": "1girl, smile", "num_inference_steps": 2, "width": 64, "height": 64, "face_yolov9c": False}


def test_one_picture_is_the_body(client: httpx.Client) -> None:
    fields = {**SMALL, "negative_prompt": "blurry", "num_outputs": 1, "seed": 7, "pag_scale": 0, "guidance_scale": 4.5}
    assert set(ALIASES) <= set(fields)
    answer = client.post("/predict", json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    assert answer.headers["x-seed"] == "7"
    assert float(answer.headers["x-inference-seconds"]) > 0
    assert float(answer.headers["x-cold-start-seconds"]) >= 0
    assert int(answer.headers["x-request-number"]) >= 1
    job = client.get(f"/v1/jobs/{answer.headers['x-job-id']}").json()
    assert job["graph"] == "default"
    assert fields.items() <= {**job["inputs"], **{old: job["inputs"][real] for old, real in ALIASES.items()}}.items()
    wait_until_stored(client, "default", **job["inputs"])
    again = client.post("/predict", json=fields)
    assert again.content == answer.content
    assert int(again.headers["x-cache-hits"]) > int(answer.headers["x-cache-hits"])
    hit = client.get(f"/v1/jobs/{again.headers['x-job-id']}").json()
    assert (hit["ran"], hit["attempts"]) == (0, 0), "no worker was asked"


def test_several_pictures_are_json(client: httpx.Client) -> None:
    answer = client.post("/predict", json={**SMALL, "seed": 20, "num_outputs": 2})
    assert answer.headers["content-type"] == "application/json"
    tree = answer.json()
    assert [image["seed"] for image in tree["images"]] == [20, 21]
    one = client.post("/predict", json={**SMALL, "seed": 20}, headers={"Accept": "application/json"}).json()
    pictures = [pixels(image["data"]) for image in (*tree["images"], *one["images"])]
    assert {picture.size for picture in pictures} == {(64, 64)}
    assert pictures[2].tobytes() == pictures[0].tobytes() != pictures[1].tobytes()


def test_one_step_is_enough_for_faces_too(client: httpx.Client) -> None:
    fields = {"prompt": "1girl, close-up", "num_inference_steps": 1, "seed": 3, "face_yolov9c": True}
    answer = client.post("/predict", json=fields)
    assert answer.status_code == 200, answer.text
    assert Image.open(io.BytesIO(answer.content)).size == (128, 128)


def pixels(data: str) -> Image.Image:
    """Return a picture that came as text."""
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_outputs": 5},
        {"num_outputs": 0},
        {"num_inference_steps": 0},
        {"num_inference_steps": "2"},
        {"guidance_scale": 1e9},
        {"width": 63},
        {"width": 100_000, "height": 100_000},
        {"face_yolov9c": "false"},
        {"promt": "x"},
        {"steps": 1, "num_inference_steps": 1},
        {"seed": -1},
        {"seed": 2**64},
        {"checkpoint": "/etc/passwd"},
        {"checkpoint": "https://example.com/model.safetensors"},
        {"checkpoint": "../model.safetensors"},
        {"vae": "nobody-knows-this"},
        {"prompt": "x" * 10_001},
    ],
)
def test_fields_that_are_wrong(client: httpx.Client, wrong: dict[str, object]) -> None:
    assert is_problem(client.post("/predict", json={**SMALL, **wrong}), 422)


def test_bodies_that_are_no_fields(client: httpx.Client) -> None:
    for body, status in ((b"[]", 422), (b"{", 400), (b"1", 422)):
        answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
        assert is_problem(answer, status)
    assert is_problem(client.post("/predict", data={"prompt": "x"}), 415)
    assert is_problem(client.get("/predict"), 405)


def test_faces_can_be_off_unless_they_are_asked_for() -> None:
    assert graph_inputs({}, face=False) == {"face": False}
    assert graph_inputs({"face_yolov9c": True}, face=False) == {"face": True}
    assert graph_inputs({"face": True}, face=False) == {"face": True}
    assert graph_inputs({}, face=True) == {}


def test_a_field_may_not_be_given_by_both_its_names() -> None:
    with pytest.raises(Trouble):
        graph_inputs({"cfg": 1, "guidance_scale": 2}, face=True)


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("image/png", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("application/json, image/png", False),
        ("Application/JSON;q=0.9", True),
    ],
)
def test_who_wants_json(accept: str, json: bool) -> None:
    assert wants_json(accept) is json


def test_what_takes_long_is_answered_before_it_is_done(impatient: Service) -> None:
    with impatient.client() as client:
        answer = client.post("/predict", json={"seed": 1})
        assert answer.status_code == 202
        job = answer.json()
        assert answer.headers["location"] == job["status_url"]
        assert job["inputs"]["face"] is False
        client.delete(job["status_url"])
        assert client.get(job["status_url"], params={"wait": 60}).json()["state"] == "cancelled"


@pytest.fixture(name="impatient")
def _impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("impatient")
    with serving(folder, NOVA_PREDICT_SECONDS="0", ENABLE_FACE_REFINEMENT="0") as running:
        yield running
