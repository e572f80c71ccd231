"""Silence for libraries that log addresses and headers, which may hold keys."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")


@contextmanager
def quiet_http() -> Iterator[None]:
    """Drop what the HTTP library logs while a download runs."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(drop)
