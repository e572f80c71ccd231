"""What must not leave the service: secrets, and where things lie on its disk."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nodes.assets import Settings

if TYPE_CHECKING:
    from nova_graph.http.problems import Trouble

_SHORTEST = 6
"""Shorter texts are no secrets: hiding them would only riddle what is said."""

_INSIDE = r"(?:[^\s\"'<>|:;,)\\]|\\u[0-9a-f]{4})"
"""A character of a path, also as JSON writes it."""


class Discretion:
    """Takes secrets and the server's own folders out of texts, JSON included."""

    def __init__(self, secrets: Iterable[str], folders: Iterable[Path]) -> None:
        self._secrets = _spellings(text for text in secrets if len(text) >= _SHORTEST)
        roots = _spellings(str(folder) for folder in folders if len(folder.parts) > 1)
        pattern = "|".join(map(re.escape, roots))
        self._paths = re.compile(rf"(?:{pattern})(?:/{_INSIDE}*)?") if roots else None

    def text(self, text: str) -> str:
        """Return a text that anybody may read: of a path only its last part is left."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return self._paths.sub(_last_part, text) if self._paths is not None else text

    def veil(self, trouble: "Trouble") -> "Trouble":
        """Return a trouble that anybody may read."""
        trouble.detail = self.text(trouble.detail)
        trouble.hint = self.text(trouble.hint)
        for problem in trouble.problems:
            problem.message = self.text(problem.message)
        return trouble


class SecretsFilter(logging.Filter):
    """Takes secrets out of log records, tracebacks included."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._discretion = Discretion(secrets, ())

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; all are kept."""
        record.msg = self._discretion.text(record.getMessage())
        record.args = None
        if record.exc_info:
            record.exc_text = self._discretion.text(logging.Formatter().formatException(record.exc_info))
        return True


def set_up_logs(secrets: Iterable[str], level: str) -> None:
    """Log to standard error, without secrets."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(SecretsFilter(secrets))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def asset_secrets(settings: Settings) -> tuple[str, ...]:
    """Return the secrets with which checkpoints are fetched."""
    secrets = (settings.checkpoint_url, settings.civitai_key, settings.hf_token)
    return tuple(secret.get_secret_value() for secret in secrets)


def own_folders(*further: Path) -> tuple[Path, ...]:
    """Return the folders whose names are nobody's business: the program's, the user's, and those given."""
    program = Path(__file__).resolve().parents[2]
    return (*further, program, Path.home(), Path.cwd(), Path(sys.prefix), Path(sys.base_prefix))


def _spellings(texts: Iterable[str]) -> list[str]:
    """Return texts as they are and as they stand in JSON, the longest first."""
    known = {spelling for text in texts for spelling in (text, json.dumps(text)[1:-1])}
    return sorted(known, key=len, reverse=True)


def _last_part(match: re.Match[str]) -> str:
    return match[0].rstrip("/").rpartition("/")[2]
