"""The graph of docs/graphs.md in which two models share a run draws what one model alone draws, where both are one."""

import re
from pathlib import Path

import pytest

from nodes.assets import read_settings
from nova_graph import Runtime, load, local_runtime, run

GUIDE = Path("docs/graphs.md").read_text(encoding="utf-8")
SHARED = next(
    text for text in re.findall(r"^```yaml\n(nova: 1\n.*?)^```$", GUIDE, re.DOTALL | re.M) if "end_step" in text
)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return local_runtime(settings=read_settings({"NOVA_CACHE_DIR": str(tmp_path / "cache"), "NOVA_THREADS": "1"}))


def alone() -> str:
    """Return the same graph with one sampler that runs to the end."""
    text = re.sub(r"  finish:\n.*?(?=  decode:)", "", SHARED, flags=re.DOTALL).replace(", end_step: 20", "")
    return text.replace("$finish.latents", "$sampler.latents")


def test_two_that_share_a_run_draw_what_one_draws(runtime: Runtime, tmp_path: Path) -> None:
    drawn = []
    with runtime:
        for name, text in (("shared", SHARED), ("alone", alone())):
            path = tmp_path / f"{name}.yaml"
            path.write_text(text, encoding="utf-8")
            result = run(load(path, runtime=runtime).plan(seed=5))
            drawn.append(result.files[0])
    assert [step.id for step in result.plan.steps if step.id == "finish"] == []
    assert drawn[0].pixel_sha256 == drawn[1].pixel_sha256
    assert drawn[0].seed == drawn[1].seed == 5
