"""The container image: the packages of this project, pinned as they are here, and its source with all data."""

import tomllib
from pathlib import Path

import modal

from nova_graph.modal.settings import MOUNT, CloudSettings, own_environ

ROOT = Path(__file__).resolve().parents[2]
"""Where this project lies, here and in a container."""

PYTHON = "3.12"
PACKAGES = ("engine", "nodes", "nova_graph")
_CONSTRAINTS = "/constraints.txt"
_SYSTEM = ("libgl1", "libglib2.0-0")
"""What opencv, which ultralytics imports, needs of the system."""

_LEFT_OUT = ["**/*.pyc", "**/__pycache__"]
"""All else goes along: the default would leave out JSON, YAML, vocabularies and the embedded weights."""

_BY_MODAL = frozenset({"modal"})


def make_image(settings: CloudSettings) -> modal.Image:
    """Return the image of every container; changing only source uploads files and builds nothing."""
    image = modal.Image.debian_slim(python_version=PYTHON).apt_install(*_SYSTEM)
    if modal.is_local():
        image = image.add_local_file(ROOT / "constraints.txt", _CONSTRAINTS, copy=True)
        image = image.uv_pip_install(*requirements(), extra_options=f"--constraint {_CONSTRAINTS}")
    image = image.env(environ(settings))
    image = image.add_local_python_source(*PACKAGES, ignore=_LEFT_OUT)
    return image.add_local_dir(ROOT / "graphs", "/root/graphs", ignore=_LEFT_OUT)


def environ(settings: CloudSettings) -> dict[str, str]:
    """Return the environment variables of every container; a secret's keys go before them."""
    return {
        **own_environ(),
        **({"NOVA_ALLOW_PUBLIC": "1"} if settings.proxy_auth else {}),
        "NOVA_CACHE_DIR": MOUNT,
        "NOVA_MODELS_LOCK": f"{MOUNT}/models.lock",
        "NOVA_DEVICE": settings.device,
        "NOVA_REQUIRE_CHECKPOINT": "1",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "YOLO_CONFIG_DIR": "/tmp/ultralytics",  # noqa: S108 - a folder of a container nobody shares
    }


def requirements(root: Path = ROOT) -> list[str]:
    """Return the project's own requirements with the versions in constraints.txt; raises KeyError for one without."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(
        line.strip().split("==", 1)
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    names = [_plain(requirement) for requirement in project["dependencies"]]
    return [f"{name}=={pins[name]}" for name in names if name not in _BY_MODAL]


def _plain(requirement: str) -> str:
    """Return the bare name of a requirement such as `fastapi[standard]>=0.100`."""
    name = requirement
    for end in "[<>=!~; ":
        name = name.partition(end)[0]
    return name.lower().replace("_", "-")
