"""What holds for all tests: that Ctrl-C can be sent, and that none fails because the machine has other work."""

import signal

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """Take Ctrl-C where a shell started the tests in the background: processes inherit that it is ignored.

    Hypothesis times neither an example nor the making of one.
    """
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
