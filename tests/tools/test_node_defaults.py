"""A default changes only with the version of its node."""

from copy import deepcopy

import pytest

from engine.values import Json
from nodes.library import built_in
from tools.node_defaults import Defaults, changed, defaults_of, noted_with, read_noted


def test_no_default_has_changed_under_its_version() -> None:
    assert list(changed(read_noted(), defaults_of(built_in()))) == []


def test_every_default_is_noted() -> None:
    noted = read_noted()
    assert noted_with(noted, defaults_of(built_in())) == noted, "run `make docs`"


@pytest.mark.parametrize("default", [29, 28.0, "28", None, True])
def test_another_default_needs_another_version(default: Json) -> None:
    noted: Defaults = {"Draw": {"1": {"steps": 28, "cfg": 5.0}}}
    now = deepcopy(noted)
    now["Draw"]["1"]["steps"] = default
    (message,) = changed(noted, now)
    assert message.startswith("the default of Draw.steps went from 28 to ")
    assert message.endswith("but Draw is still version 1")
    assert list(changed(noted, {"Draw": {"2": now["Draw"]["1"]}})) == []


def test_a_new_port_needs_no_version_and_a_lost_one_does() -> None:
    noted: Defaults = {"Draw": {"1": {"steps": 28}}}
    now: Defaults = {"Draw": {"1": {"steps": 28, "cfg": 5}}}
    assert list(changed(noted, now)) == []
    assert list(changed(now, noted)) == ["Draw.cfg is gone or required now, but Draw is still version 1"]


def test_what_was_noted_of_older_versions_stays() -> None:
    old: Defaults = {"Draw": {"1": {"steps": 28}}}
    new: Defaults = {"Draw": {"2": {"steps": 20}}}
    assert noted_with(old, new) == {"Draw": {"1": {"steps": 28}, "2": {"steps": 20}}}
