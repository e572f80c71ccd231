"""The real `modal` and `nova-graph` commands, talking to a control plane on loopback."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.modal.control_plane.plane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SHELL = "runtime_modal.py"
ARTIST = "NovaAnime.*"
SECRET = "nova-anime-checkpoint"
KEY = "a-key-for-tests-only"
VOLUME = "nova-anime-cache"
NODES = Path(__file__).parent / "nodes"
"""Node types that containers know besides the library's."""


@dataclass(frozen=True)
class Cloud:
    """Calls commands in the project's folder, or in a copy of it."""

    plane: ControlPlane
    folder: Path
    project: Path = ROOT
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
        return {
            **kept,
            **self.plane.client_environ,
            "NOVA_CACHE_DIR": str(self.folder / "local-cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "160",
            "NO_COLOR": "1",
            **self.settings,
        }

    def modal(self, *words: str, code: int = 0, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        return self._call([str(BIN / "modal"), *words], code, timeout)

    def nova_graph(self, *words: str, code: int = 0, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        return self._call([str(BIN / "nova-graph"), *words], code, timeout)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        return self._call([sys.executable, "-c", program], 0, 100)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(BIN / words[0]), *words[1:]],
            cwd=self.project,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _call(self, words: list[str], code: int, timeout: float) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words, cwd=self.project, env=self.environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
