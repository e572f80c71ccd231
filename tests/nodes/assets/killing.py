"""A program that downloads, and dies without a word at every n-th line of it: `killing.py CACHE ADDRESS STEP`.

Prints how often it died; fails if a half file was ever to be seen, or if what was left behind spoilt the next download.
"""

import os
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from engine.assets import Asset
from nodes.assets import LocalAssets, read_settings
from tests.nodes.assets.shop import visible_files

AUTO = Asset("checkpoint", "auto")
WHOLE = 0
DEAD = 9
OWN = str(Path("nodes", "assets"))


def fetch() -> bytes:
    found = LocalAssets(read_settings()).fetch(AUTO, lambda done, total, what: None)
    assert found.path is not None
    return found.path.read_bytes()


def die_at(line: int) -> None:
    """End this process, without cleaning up, when so many lines of our own code have run."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if OWN not in frame.f_code.co_filename:
            return None
        left -= 1
        if left <= 0:
            os._exit(DEAD)
        return trace

    sys.settrace(trace)


def killed_at(line: int) -> bool:
    child = os.fork()
    if child == 0:
        die_at(line)
        fetch()
        os._exit(WHOLE)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DEAD


def main(cache: Path, step: int) -> None:
    expected = fetch()
    deaths = 0
    for line in range(1, 100_000, step):
        shutil.rmtree(cache)
        died = killed_at(line)
        seen = visible_files(cache / "checkpoint")
        assert seen in ([], ["anime.safetensors"]), seen
        assert not seen or (cache / "checkpoint" / seen[0]).read_bytes() == expected
        assert fetch() == expected
        assert visible_files(cache / "checkpoint") == ["anime.safetensors"]
        if not died:
            break
        deaths += 1
    print(deaths)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
