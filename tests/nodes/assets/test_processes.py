"""Several processes, and processes that are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.assets import Found
from nodes.assets import Settings
from tests.nodes.assets.server import FileServer, serving, stalling, whole
from tests.nodes.assets.shop import AUTO, assets_of, found, ignore, visible_files, weights, with_url

DATA = weights(b"a picture model", pad=3_000_000)
HALF = 1_500_000
ROOT = Path(__file__).parents[3]
FETCH = """
from engine.assets import Asset
from nodes.assets import LocalAssets, read_settings
report = lambda done, total, what: print(done, total, what, flush=True)
found = LocalAssets(read_settings()).fetch(Asset("checkpoint", "auto"), report)
print("FOUND", found.path, found.sha256, flush=True)
"""


def environment(settings: Settings, server: FileServer) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "NOVA_CACHE_DIR": str(settings.cache),
        "CHECKPOINT_URL": server.address(),
        "NO_PROXY": "*",
    }


@contextmanager
def fetching(settings: Settings, server: FileServer) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH],
        cwd=ROOT,
        env=environment(settings, server),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def parts(settings: Settings) -> list[Path]:
    return list((settings.cache / "checkpoint" / ".part").glob("*.part"))


def wait_for_bytes(settings: Settings, count: int) -> None:
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in parts(settings)) < count:
        assert time.monotonic() < deadline, "the download did not get going"
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_download_leaves_nothing_half_and_is_resumed(settings: Settings) -> None:
    go = threading.Event()
    with serving(stalling(DATA, HALF, go), whole(DATA)) as server:
        with fetching(settings, server) as process:
            wait_for_bytes(settings, HALF - 100_000)
            process.send_signal(signal.SIGKILL)
            assert process.wait(30) == -signal.SIGKILL
        go.set()
        assert visible_files(settings.cache / "checkpoint") == []
        left = parts(settings)[0].stat().st_size
        assert 0 < left < len(DATA)
        result = assets_of(with_url(settings, server.address())).fetch(AUTO, ignore)
    assert server.headers[1]["range"] == f"bytes={left}-"
    assert result.path is not None
    assert result.path.read_bytes() == DATA
    assert parts(settings) == []
    assert found(assets_of(settings), "checkpoint", "auto").sha256 == result.sha256


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_kill_at_any_moment_leaves_nothing_half(settings: Settings) -> None:
    with serving(whole(weights(pad=200_000))) as server:
        killed = subprocess.run(
            [sys.executable, "-m", "tests.nodes.assets.killing", str(settings.cache), "29"],
            cwd=ROOT,
            env=environment(settings, server),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert killed.returncode == 0, killed.stderr
    assert int(killed.stdout) > 20


def test_two_processes_download_once(settings: Settings) -> None:
    go = threading.Event()
    with serving(stalling(DATA, HALF, go)) as server, fetching(settings, server) as first:
        wait_for_bytes(settings, 1)
        with fetching(settings, server) as second:
            assert second.stdout is not None
            assert "another process is downloading it" in second.stdout.readline()
            go.set()
            said = [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]]
    assert len(server.paths) == 1
    lines = {text.strip().splitlines()[-1] for text in said}
    assert len(lines) == 1
    assert lines.pop().startswith(f"FOUND {settings.cache / 'checkpoint' / 'anime.safetensors'} ")


def test_threads_of_one_process_download_once(settings: Settings) -> None:
    results: list[Found] = []
    with serving(whole(DATA)) as server:
        assets = assets_of(with_url(settings, server.address()))
        threads = [threading.Thread(target=lambda: results.append(assets.fetch(AUTO, ignore))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.paths) == 1
    assert len({(result.path, result.sha256) for result in results}) == 1
    assert len(results) == len(threads)
