"""The detector: what it finds, what it leaves alone, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import AssetMissing, AssetRefused
from nodes.sdxl.detector import LiveDetector
from nodes.sdxl.detector_file import USUAL_SIZE, read_safetensors
from nodes.values import Box
from tests.nodes.sdxl.detectors import FACE, detector, pixels, rewritten


@pytest.fixture(scope="module")
def live() -> LiveDetector:
    return detector()


def overlap(box: Box, other: tuple[float, float, float, float]) -> float:
    """Return intersection over union."""
    width = min(box.right, other[2]) - max(box.left, other[0])
    height = min(box.bottom, other[3]) - max(box.top, other[1])
    shared = max(0.0, width) * max(0.0, height)
    both = (box.right - box.left) * (box.bottom - box.top) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / (both - shared)


def test_one_face_is_one_box(live: LiveDetector) -> None:
    (box,) = live.find(pixels("close-up"), 0.3)
    assert overlap(box, (25, 28, 102, 112)) > 0.8
    assert 0.8 < box.confidence <= 1


def test_two_faces_are_two_boxes_best_first(live: LiveDetector) -> None:
    first, second = live.find(pixels("pair"), 0.45)
    assert overlap(first, (168, 21, 218, 74)) > 0.6
    assert overlap(second, (42, 21, 95, 78)) > 0.6
    assert first.confidence > second.confidence > 0.45


def test_nothing_is_found_in_nothing(live: LiveDetector) -> None:
    assert live.find(np.full((128, 128, 3), 127, np.uint8), 0.3) == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (300, 2, 3), (33, 65, 3)])
def test_odd_sizes_are_looked_at(live: LiveDetector, shape: tuple[int, int, int]) -> None:
    for box in live.find(np.random.default_rng(0).integers(0, 255, shape, np.uint8), 0.05):
        assert 0 <= box.left <= box.right <= shape[1]
        assert 0 <= box.top <= box.bottom <= shape[0]


def test_the_same_picture_gives_the_same_boxes(live: LiveDetector) -> None:
    assert live.find(pixels("pair"), 0.1) == live.find(pixels("pair"), 0.1)


def as_pickle(path: Path) -> Path:
    """Write the embedded detector as ultralytics would."""
    from ultralytics.nn.tasks import DetectionModel

    network, size = read_safetensors(FACE, "face")
    assert isinstance(network, DetectionModel)
    torch.save({"model": network, "train_args": {"imgsz": size, "task": "detect"}}, path)
    return path


def test_boxes_equal_those_of_ultralytics_own_predict(
    live: LiveDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics import YOLO

    monkeypatch.chdir(tmp_path)
    oracle = YOLO(str(as_pickle(tmp_path / "face.pt")))
    pair = pixels("pair")
    for picture in (pixels("close-up"), pair, pair[:100, 30:], pair[::2, ::2], pair[:, :90]):
        bgr = np.ascontiguousarray(picture[..., ::-1])
        result = oracle.predict(bgr, conf=0.2, imgsz=live.size, device="cpu", verbose=False)[0].boxes
        torch.set_num_threads(1)  # predict changes it
        expected = np.concatenate([result.xyxy.numpy(), result.conf.numpy()[:, None]], 1)
        found = live.find(picture, 0.2)
        rows = np.array([[box.left, box.top, box.right, box.bottom, box.confidence] for box in found]).reshape(-1, 5)
        assert len(expected) > 0
        np.testing.assert_allclose(rows, expected, atol=1e-2)


def test_a_pickled_detector_finds_the_same(live: LiveDetector, tmp_path: Path) -> None:
    path = as_pickle(tmp_path / "o'dd name")
    found = detector(path, pickled=True)
    assert found.size == live.size
    assert found.find(pixels("pair"), 0.1) == live.find(pixels("pair"), 0.1)


class Evil:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_pickle_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: bool) -> None:
    # Not pinned: somebody else imported ultralytics first, without ULTRALYTICS_SAFE_LOAD.
    monkeypatch.setattr("ultralytics.nn.tasks.SAFE_LOAD", pinned)
    trace = tmp_path / "executed"
    evil = tmp_path / "evil.pt"
    torch.save({"model": Evil(trace), "train_args": {}}, evil)
    for pickled in (True, False):
        with pytest.raises(AssetRefused):
            detector(evil, pickled=pickled)
        assert not trace.exists()
    torch.load(evil, weights_only=False)
    assert trace.exists(), "the pickle is harmless, so nothing was tested"


@pytest.mark.parametrize("content", [{"model": None}, {"ema": {"weights": 1}}, [1, 2]])
def test_a_pickle_without_a_detector_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(AssetRefused, match="was refused"):
        detector(tmp_path / "other.pt", pickled=True)


@pytest.mark.parametrize("pickled", [True, False])
def test_a_missing_file_is_named_and_not_downloaded(tmp_path: Path, pickled: bool) -> None:
    with pytest.raises(AssetMissing, match=r"tiny\.safetensors"):
        detector(tmp_path / "yolov8n.pt", pickled=pickled)


@pytest.mark.parametrize("pickled", [True, False])
@pytest.mark.parametrize("content", [b"", b"<html>no</html>", FACE.read_bytes()[:100_000], b"\xff" * 64])
def test_broken_files_are_refused(tmp_path: Path, content: bytes, pickled: bool) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(AssetRefused):
        detector(path, pickled=pickled)


def changed_description(**changes: object) -> str:
    """Return the embedded detector's model description with some entries changed."""
    from safetensors import safe_open

    with safe_open(FACE, "pt") as file:
        return json.dumps({**json.loads(file.metadata()["yaml"]), **changes})


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"yaml": None}, "has no `yaml`"),
        ({"yaml": "["}, "JSONDecodeError"),
        ({"yaml": "[]"}, "may have only the keys"),
        ({"yaml": changed_description(activation="open('executed', 'w')")}, "may have only the keys"),
        ({"yaml": changed_description(backbone=[[-1, 1, "TorchVision", [8, "resnet50", "DEFAULT"]]])}, "TorchVision"),
        ({"yaml": changed_description(backbone=[[-1, 1, "torch_safe_load", ["x.pt"]]])}, "torch_safe_load"),
        ({"yaml": changed_description(backbone=[[-1, 1, ["Conv"], [8]]])}, "TypeError"),
        ({"yaml": changed_description(backbone=[[-1, 1, "nn.Identity", []]] * 500)}, "more than 400 layers"),
        ({"yaml": " " * 200_000}, "longer than"),
        ({"yaml": changed_description(backbone=[])}, "cannot be read"),
        ({"imgsz": "1000000"}, "imgsz"),
        ({"imgsz": "large"}, "imgsz|invalid literal"),
    ],
)
def test_descriptions_from_strangers_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str | None], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssetRefused, match=why):
        detector(rewritten(tmp_path / "stranger.safetensors", metadata))
    assert not (tmp_path / "executed").exists()


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetRefused, match="cannot be read"):
        detector(rewritten(tmp_path / "part.safetensors", {}, without="model.0.conv.weight"))


def test_the_size_comes_from_the_metadata(live: LiveDetector, tmp_path: Path) -> None:
    assert live.size == 192
    assert detector(rewritten(tmp_path / "plain.safetensors", {"imgsz": None})).size == USUAL_SIZE
    assert detector(rewritten(tmp_path / "large.safetensors", {"imgsz": "320"})).size == 320


def test_loading_and_finding_leave_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    detector().find(pixels("pair"), 0.3)
    assert torch.equal(torch.rand(3), expected)


ALONE = """
import os, socket, sys, threading

def trap(*args, **kwargs):
    raise SystemExit(f"network: {args}")

socket.getaddrinfo = socket.gethostbyname = socket.create_connection = trap
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = trap

import cv2, numpy, torch
torch.set_num_threads(2)

def state():
    pinned = ("YOLO_", "ULTRALYTICS_")
    options = vars(torch._tensor_str.PRINT_OPTS)
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads(), cv2.getNumThreads()),
        "printing": (dict(options), numpy.get_printoptions()),
        "functions": (torch.save, torch.load, cv2.imread, cv2.imwrite, cv2.imshow),
        "environment": {name: value for name, value in os.environ.items() if not name.startswith(pinned)},
        "running": threading.active_count(),
    }

before = state()
from tests.nodes.sdxl.detectors import detector, pixels
assert detector().find(pixels("close-up"), 0.3)
after = state()
for name in before:
    assert before[name] == after[name], (name, before[name], after[name])
assert os.environ["YOLO_OFFLINE"] == "1"
from ultralytics.utils import ONLINE
from ultralytics.utils.events import events
assert not ONLINE and not events.enabled
"""


def test_a_process_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    root = Path(__file__).parents[3]
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{ALONE}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == [tmp_path / "home"]
