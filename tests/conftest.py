"""What holds for all tests: that Ctrl-C can be sent."""

import signal


def pytest_configure() -> None:
    """Take Ctrl-C where a shell started the tests in the background: processes inherit that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
