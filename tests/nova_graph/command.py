"""The installed command in a process of its own, with a cache and node types of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "nova-graph"
PLUGINS = Path(__file__).parent / "plugins"
ROOT = Path(__file__).parent.parent.parent

PAINTING = """\
nova: 1
description: A grey picture.
inputs:
  grey: {type: integer, default: 7, description: How light.}
  seed: {type: seed, default: random}
  out: {type: integer, default: 1, description: "How many; the name is also an option."}
nodes:
  paint: {type: Paint, inputs: {grey: $inputs.grey, seed: $inputs.seed, count: $inputs.out}}
  png: {type: Serializer, inputs: {image: $paint.image}}
outputs: {file: $png.file}
"""


@dataclass(frozen=True)
class Command:
    """Calls `nova-graph` in a folder; `environ` goes on top of what the folder needs."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOVA_", "CHECKPOINT_"))}
        return {
            **kept,
            "NOVA_CACHE_DIR": str(self.folder / "cache"),
            "NOVA_NODES": str(PLUGINS),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }

    def write(self, text: str, name: str = "graph.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def call(self, *words: str, code: int = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(PROGRAM), *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(PROGRAM), *words],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]
