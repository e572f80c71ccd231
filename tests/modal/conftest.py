"""One control plane and one deployment for the whole folder: containers stay warm between the tests of a file."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.modal.cloud import ARTIST, KEY, NODES, ROOT, SECRET, SHELL, Cloud
from tests.modal.control_plane.plane import ControlPlane
from tests.modal.place import Place

PIN = "1.6."

WEBHOOKS = {
    "NOVA_WEBHOOK_SECRET": "a-secret-for-webhooks-in-tests",
    "NOVA_WEBHOOK_NETWORKS": "127.0.0.1/32",
    "NOVA_WEBHOOK_HTTP": "1",
}


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    found = version("modal")
    if not found.startswith(PIN):
        pytest.fail(
            f"modal {found} is installed, but tests/modal/control_plane speaks the protocol of modal {PIN}*: "
            "read its changes, adapt the control plane, and move PIN and constraints.txt together"
        )
    with ControlPlane(tmp_path_factory.mktemp("plane")) as running:
        running.secrets.named[SECRET] = {"NOVA_API_KEYS": KEY, "NOVA_NODES": str(NODES), **WEBHOOKS}
        yield running
        assert not running.volumes.hindered, "the Volume is only reloaded where no file of it is open or mapped"


@pytest.fixture(scope="session")
def cloud(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    return Cloud(plane, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="session")
def source() -> set[str]:
    """What is there to upload, as it is called in a container."""
    return {
        f"/root/{path.relative_to(ROOT)}"
        for package in ("engine", "nodes", "nova_graph", "graphs")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="session")
def address(cloud: Cloud, source: set[str], plane: ControlPlane) -> str:
    """The address of the deployed service; later tests deploy other apps."""
    cloud.modal("deploy", SHELL)
    return plane.functions.find("web").metadata.web_url


@pytest.fixture(scope="session")
def deployed(cloud: Cloud, address: str) -> Cloud:
    return cloud


@pytest.fixture(scope="module")
def http(address: str, plane: ControlPlane) -> Iterator[httpx.Client]:
    """A client of the deployed service; containers that the tests of another file left are gone."""
    plane.scale_down(ARTIST)
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}, timeout=90) as client:
        yield client


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
