"""What tests of importing need: a runtime of their own."""

from pathlib import Path

import pytest

from nodes.assets import read_settings
from nova_graph import Runtime, local_runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"}))
