"""The lines in docs/http.md and README.md work as they are written; only the address is another."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from nova_graph.http.settings import HttpSettings, read_http_settings
from tests.nova_graph.http.serving import ROOT, Service

DOCS = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def run_script(script: str, folder: Path) -> str:
    """Run lines of a guide in a folder; returns what they print."""
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_curl
def test_every_line_works(service: Service, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "graphs", tmp_path / "graphs")
    lines = "".join(re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL))
    script = lines.replace("NOVA=http://127.0.0.1:8000", f"NOVA={service.url}")
    assert script != lines
    printed = run_script(script, tmp_path)
    for name in ("picture.png", "fast.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (128, 128)
    headers = (
        "x-seed: 7",
        "x-job-id",
        "x-inference-seconds",
        "x-cold-start-seconds",
        "x-request-number",
        "x-cache-hits",
    )
    assert all(name in printed for name in headers)


@needs_curl
def test_the_lines_in_the_readme_work(service: Service, tmp_path: Path) -> None:
    (lines,) = re.findall(r"^    (curl .*(?:\n      .*)*)", README, re.MULTILINE)
    script = lines.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    assert script != lines
    run_script(script, tmp_path)
    with Image.open(tmp_path / "girl.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 128))


def test_every_setting_is_told_with_its_default() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]*) \|", DOCS, re.MULTILINE)
    told = {name: value for names, values in rows for name, value in zip(_split(names), _split(values), strict=False)}
    numbers = {name: value for name, value in told.items() if value.isdecimal() and name != "NOVA_STATE_DIR"}
    assert len(numbers) >= 17
    assert read_http_settings(numbers) == HttpSettings()


def _split(text: str) -> list[str]:
    return [part.strip(" `") for part in text.split(",")]
