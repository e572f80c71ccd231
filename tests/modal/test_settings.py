"""What the operator may set, and what prices make of it."""

import ast
import importlib.metadata
import inspect
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingError
from engine.parse import parse
from engine.values import Json
from nova_graph.modal.image import environ, requirements
from nova_graph.modal.prices import AS_OF, PER_SECOND, estimate, listed_gpu
from nova_graph.modal.settings import CloudSettings, own_environ, read_cloud_settings, read_gpus
from nova_graph.modal.timing import KEEP_DAYS, TimingLog, forget_old, read_entries, summarize
from tests.modal.cloud import ROOT
from tests.modal.control_plane.packages import closure

VARIABLES = set(re.findall(r"NOVA_MODAL_[A-Z_]*[A-Z]", inspect.getsource(sys.modules[CloudSettings.__module__])))


def test_nothing_set_is_one_a100_that_scales_to_zero() -> None:
    settings = read_cloud_settings({})
    assert settings == CloudSettings()
    assert read_cloud_settings(dict.fromkeys(VARIABLES, " ")) == settings, "blank is not set"
    assert (settings.gpus, settings.min_containers, settings.device) == (("A100-40GB",), 0, "cuda")


def test_gpus_keep_their_order_and_are_written_as_modal_does() -> None:
    assert read_gpus("a10, l4,L40S,a100-40gb,A100-80GB,H100!,h200") == (
        "A10", "L4", "L40S", "A100-40GB", "A100-80GB", "H100!", "H200",
    )  # fmt: skip
    assert read_cloud_settings({"NOVA_MODAL_GPU": "none"}).device == "cpu"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"NOVA_MODAL_GPU": "banana"}, "there is no GPU 'banana'"),
        ({"NOVA_MODAL_GPU": "L40"}, "Did you mean L40S?"),
        ({"NOVA_MODAL_GPU": "H100:2"}, "One GPU draws a picture"),
        ({"NOVA_MODAL_GPU": "L4!"}, "NOVA_MODAL_GPU: 'L4!' means nothing\n  Write L4; only H100 can have a !."),
        ({"NOVA_MODAL_GPU": ","}, "NOVA_MODAL_GPU names nothing"),
        ({"NOVA_MODAL_SCALEDOWN": "1"}, "NOVA_MODAL_SCALEDOWN must be a whole number from 2 to 3600, got '1'"),
        ({"NOVA_MODAL_TIMEOUT": "soon"}, "NOVA_MODAL_TIMEOUT must be a whole number"),
        ({"NOVA_MODAL_MIN_CONTAINERS": "9"}, "more than the 4 that NOVA_MODAL_MAX_CONTAINERS allows"),
        ({"NOVA_MODAL_SNAPSHOT": "maybe"}, "NOVA_MODAL_SNAPSHOT is neither on nor off"),
        ({"NOVA_MODAL_APP": "no spaces"}, "NOVA_MODAL_APP is not a name"),
        ({"NOVA_MODAL_SCALE_DOWN": "9"}, "Did you mean NOVA_MODAL_SCALEDOWN?"),
    ],
)
def test_wrong_settings_are_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)):
        read_cloud_settings(environ)


@given(st.text(max_size=30))
def test_any_gpu_text_is_read_or_refused(text: str) -> None:
    try:
        gpus = read_gpus(text)
    except SettingError:
        return
    assert all(gpu.removesuffix("!") in (*PER_SECOND, "A100") for gpu in gpus)


def test_the_guide_names_every_variable_and_the_day_of_the_prices() -> None:
    guide = (ROOT / "docs" / "modal.md").read_text()
    assert len(VARIABLES) > 15
    named = set(re.findall(r"`(NOVA_MODAL_[A-Z_]*[A-Z])[=`]", guide))
    assert named == VARIABLES
    assert not {name for name in environ(CloudSettings(proxy_auth=True)) if f"`{name}" not in guide}
    assert AS_OF in guide


def test_containers_read_the_same_settings() -> None:
    given = {"NOVA_MODAL_GPU": "L4", "NOVA_MODAL_SECRET": "none", "HOME": "/root"}
    assert own_environ(given) == {"NOVA_MODAL_GPU": "L4", "NOVA_MODAL_SECRET": "none"}
    assert read_cloud_settings(own_environ(given)) == read_cloud_settings(given)


def test_who_asks_is_decided_by_keys_or_by_modals_proxy() -> None:
    assert "NOVA_ALLOW_PUBLIC" not in environ(CloudSettings())
    assert environ(CloudSettings(proxy_auth=True))["NOVA_ALLOW_PUBLIC"] == "1"


@pytest.mark.parametrize(
    ("device", "gpu"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000"),
        ("Tesla T4", ""),
        ("", ""),
    ],
)
def test_devices_are_found_in_the_price_table(device: str, gpu: str) -> None:
    assert listed_gpu(device) == gpu


def test_an_estimate_says_seconds_gpu_dollars_and_the_day() -> None:
    assert str(estimate("NVIDIA A100-SXM4-40GB", 8.0)) == (
        f"8.0 GPU seconds on A100-40GB, about $0.0047 (prices of {AS_OF})"
    )
    assert estimate("Tesla T4", 8.0) is None


def test_timing_files_of_many_containers_are_one_report(tmp_path: Path) -> None:
    call: dict[str, Json] = {"seconds": 4.0, "cold": 0.0, "outcome": "ok", "device": "NVIDIA L4", "ran": 3, "cached": 3}
    TimingLog(tmp_path, "ta-1").add({**call, "container": "ta-1", "time": 2, "cold": 9.0})
    TimingLog(tmp_path, "ta-2").add({**call, "container": "ta-2", "time": 1, "outcome": "failed"})
    with (tmp_path / "ta-2.jsonl").open("a") as file:
        file.write('{"half a li')
    entries = read_entries(tmp_path)
    assert [entry["container"] for entry in entries] == ["ta-2", "ta-1"]
    report = summarize(entries)
    assert (report["calls"], report["containers"], report["failed"], report["cold_starts"]) == (2, 2, 1, 1)
    assert report["gpu_dollars"] == round((8 + 9) * PER_SECOND["L4"], 4), "a cold start is paid too"
    assert json.dumps(summarize([]))


def test_timing_files_of_containers_long_gone_are_deleted(tmp_path: Path) -> None:
    for name, days in (("ta-old", KEEP_DAYS + 1), ("ta-new", KEEP_DAYS - 1)):
        TimingLog(tmp_path, name).add({"seconds": 1.0})
        then = time.time() - days * 86_400
        os.utime(tmp_path / f"{name}.jsonl", (then, then))
    assert forget_old(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ta-new.jsonl"]
    assert forget_old(tmp_path / "nothing") == 0


def test_every_requirement_is_pinned_as_here() -> None:
    pinned = dict(text.split("==") for text in requirements())
    assert {"torch", "diffusers", "ultralytics", "fastapi", "networkx"} <= set(pinned)
    assert "modal" not in pinned, "Modal puts its own client into containers"


def test_what_the_source_imports_is_in_the_image() -> None:
    homes = importlib.metadata.packages_distributions()
    installed = {each.metadata["Name"].lower().replace("_", "-") for each in closure([*requirements(), "modal"])}
    missing = set()
    for path in [ROOT / "runtime_modal.py", *(p for name in OURS for p in (ROOT / name).rglob("*.py"))]:
        for name in imported(path) - set(sys.stdlib_module_names) - set(OURS) - {"runtime_modal"}:
            if not {home.lower().replace("_", "-") for home in homes.get(name, [])} & installed:
                missing.add((path.relative_to(ROOT).as_posix(), name))
    assert not missing


OURS = ("engine", "nodes", "nova_graph")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


FLAG_TYPES = {"string": "str", "integer": "int", "seed": "int", "number": "float", "boolean": "bool"}


def test_the_flags_of_the_entrypoint_are_the_inputs_of_the_default_graph() -> None:
    graph = parse((ROOT / "graphs" / "default.yaml").read_bytes(), "default.yaml")
    tree = ast.parse((ROOT / "runtime_modal.py").read_text())
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    flags = {flag.arg: ast.unparse(flag.annotation or flag).removesuffix(" | None") for flag in main.args.args}
    usual = {flag.arg: ast.unparse(value) for flag, value in zip(main.args.args, main.args.defaults, strict=True)}
    assert usual.pop("out") == "'outputs'"
    assert usual.pop("face") == str(graph.inputs["face"].default), "a flag without a third state"
    assert set(usual.values()) == {"None"}, "the graph has all other defaults"
    del flags["out"]
    assert flags == {name: FLAG_TYPES[declared.types[0]] for name, declared in graph.inputs.items()}
