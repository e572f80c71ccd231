"""What may be imported before there is work to do."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "diffusers", "transformers", "PIL", "numpy", "modal", "ultralytics", "compel", "cv2", "networkx"}


@pytest.mark.parametrize("modules", ["engine, nodes", "engine, nodes.library", "nova_graph, nova_graph.api"])
def test_declarations_are_free_of_heavy_packages(modules: str) -> None:
    code = f"import sys, {modules}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"
