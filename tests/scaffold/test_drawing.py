"""The graph shows what can happen, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scaffold import FacultyScaffold, State, Update, react
from scaffold.tools import SHELL

FACULTIES = {"explore", "plan", "execute", "repair", "memory"}
GROUPS = {"shell", "file", "process", "network"}
END = "__end__"


def edges(scaffold: FacultyScaffold) -> dict[str, set[str]]:
    """Where each node leads to."""
    drawn: dict[str, set[str]] = {}
    for edge in scaffold.compile().get_graph().edges:
        drawn.setdefault(edge.source, set()).add(edge.target)
    return drawn


def test_the_full_scaffold() -> None:
    assert edges(FacultyScaffold()) == {
        "__start__": {"explore"},
        "explore": {"explore", "plan", "memory", END} | GROUPS,
        "plan": {"execute", "memory", END},
        "execute": {"execute", "repair", "memory", END} | GROUPS,
        "repair": {"repair", "execute", "plan", "memory", END} | GROUPS,
        "memory": {"explore", "plan", "execute", "repair", END},
        **{group: FACULTIES | {END} for group in GROUPS},
    }


def test_the_plain_loop() -> None:
    assert edges(react()) == {
        "__start__": {"execute"},
        "execute": {"execute", END} | GROUPS,
        **{group: {"execute", END} for group in GROUPS},
    }


@pytest.mark.parametrize("absent", sorted(FACULTIES))
def test_what_is_absent_is_bridged(absent: str) -> None:
    gone: dict[str, Any] = {absent: None}
    drawn = edges(replace(FacultyScaffold(), **gone))
    assert absent not in set(drawn).union(*drawn.values())
    bridged = {"explore": ("__start__", "plan"), "plan": ("explore", "execute"), "execute": ("plan", END)}
    if absent in bridged:
        source, target = bridged[absent]
        assert target in drawn[source]


def test_tool_nodes_are_those_of_the_tools_given() -> None:
    assert set(edges(FacultyScaffold(tools=(SHELL,)))) & GROUPS == {"shell"}


def test_a_faculty_that_declares_nothing_may_lead_anywhere() -> None:
    async def own(_: State, __: object) -> Update:
        return Update(done=True)

    assert edges(FacultyScaffold(plan=own))["plan"] == FACULTIES | GROUPS | {END}


def test_the_mermaid_text_names_every_node() -> None:
    drawing = FacultyScaffold().mermaid()
    assert all(f"{name}({name})" in drawing for name in FACULTIES | GROUPS)
