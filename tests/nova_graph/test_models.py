"""How much memory models may take."""

import os

import pytest

from engine.environment import Environment
from nova_graph.models import UNKNOWN_MEMORY, usual_budget


def test_half_of_the_machines_memory_is_for_models() -> None:
    assert 2 * usual_budget(Environment()) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_system_that_does_not_tell_its_memory_has_a_budget_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert usual_budget(Environment()) == UNKNOWN_MEMORY // 2
