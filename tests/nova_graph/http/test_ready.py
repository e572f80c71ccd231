"""Whether jobs would be run now."""

import os
from pathlib import Path

import httpx

from tests.nova_graph.http.serving import is_problem, starting, wait_until_ready

HELD_UP = """\
import sys
from pathlib import Path

if Path(sys.argv[0]).stem == "worker":
    Path(__file__).with_name("gate").read_bytes()
"""


def test_a_service_without_a_worker_is_well_but_not_ready(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    (nodes / "held_up.py").write_text(HELD_UP)
    os.mkfifo(nodes / "gate")
    with starting(tmp_path / "service", NOVA_NODES=str(nodes)) as service:
        answer = httpx.get(f"{service.url}/ready", trust_env=False)
        assert is_problem(answer, 503), answer.text
        assert "no worker is ready" in answer.text
        assert answer.headers["retry-after"] == "5"
        assert service.is_well()
        (nodes / "gate").write_bytes(b"")
        wait_until_ready(service)
