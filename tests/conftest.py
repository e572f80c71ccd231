"""What holds for all tests: which go together when several processes share them, and that Ctrl-C can be sent."""

import signal
from pathlib import Path

import pytest

ONE_CLOUD = Path(__file__).parent / "modal"


def pytest_configure() -> None:
    """Take Ctrl-C where a shell started the tests in the background: processes inherit that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests of a file, and all that use the test cloud: what a group shares is made in one process, once."""
    for item in items:
        together = ONE_CLOUD if item.path.is_relative_to(ONE_CLOUD) else item.path
        item.add_marker(pytest.mark.xdist_group(str(together)))
