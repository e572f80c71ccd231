from pathlib import Path

import pytest

from nodes.assets import Settings
from tests.nodes.assets.shop import settings_in


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Talk to the servers of the tests directly."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)
