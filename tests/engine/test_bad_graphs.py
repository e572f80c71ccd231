"""Graph files with mistakes, and the exact words they are answered with."""

from pathlib import Path

import pytest

from engine import FolderOpener, GraphErrors, bind, parse
from tests.engine.arith import arithmetic

BAD = Path(__file__).parent / "bad"
FILES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_a_mistake_is_answered_in_these_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(GraphErrors) as caught:
        bind(parse(Path(f"{name}.yaml").read_bytes(), f"{name}.yaml"), arithmetic(), opener=FolderOpener(Path()))
    assert str(caught.value).replace(str(BAD), "BAD") + "\n" == Path(f"{name}.txt").read_text(encoding="utf-8")
