"""The default graph through the service, drawn by the embedded model, in a service that never imports torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.nova_graph.service.driving import environ
from tests.nova_graph.service.service import ROOT

SCRIPT = """
import asyncio, io, json, sys
from pathlib import Path

from engine import FolderOpener, bind, document, parse
from nodes.library import built_in
from nova_graph.service.backend import NewJob
from nova_graph.service.local import start_backend

async def main(folder):
    path = Path("graphs/default.yaml")
    graph = parse(path.read_bytes(), str(path))
    bound = bind(graph, built_in(), {"seed": 2**64 - 1, "steps": 4}, opener=FolderOpener(Path.cwd()))
    job = NewJob(owner="me", graph="default", document=document(bound), inputs={"seed": 2**64 - 1})
    async with await start_backend(folder) as backend:
        first = await backend.submit(job)
        events = [json.loads(event.data) async for event in backend.events("me", first.id, 0)]
        over = await backend.wait("me", first.id, 0)
        second = await backend.submit(job)
        again = await backend.wait("me", second.id, 60)
        file = await backend.picture("me", first.id, 0)
        same = await backend.picture("me", second.id, 0)
        assert over.state == "done", over
        assert again.state == "done" and again.ran == 0, again
        assert file.seed == 2**64 - 1
        assert file == same
        assert any("preview" in event for event in events)
        blobs = [path for path in (folder / "blobs").rglob("*") if path.is_file()]
        assert len(blobs) == 1
        assert "torch" not in sys.modules and "PIL" not in sys.modules, "the service imported torch"
        sys.stdout.buffer.write(file.data)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.timeout(120)
def test_the_default_graph_is_drawn(tmp_path: Path) -> None:
    from PIL import Image

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "service")],
        env={**environ(tmp_path), "NOVA_NODES": ""},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    (tmp_path / "picture.png").write_bytes(done.stdout)
    with Image.open(tmp_path / "picture.png") as picture:
        picture.load()
        assert picture.size == (128, 128)
        assert "nova_graph" in picture.info
