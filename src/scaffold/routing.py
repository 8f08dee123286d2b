"""Which node acts next: a pure function of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.types import State

__all__ = ["END", "ORDER", "TOOLS", "first_present", "next_nodes", "successors"]

END = "__end__"
"""As LangGraph calls it."""
TOOLS = "tools"
"""Stands for every tool node in what a faculty says it leads to."""
ORDER = ("explore", "plan", "execute")
"""In which faculties take over from each other. Repair stands beside the order: failures lead to it."""


def first_present(wanted: str, present: Sequence[str]) -> str:
    """Return the wanted faculty or the first after it that the scaffold has; END where there is none."""
    if wanted not in ORDER:
        return wanted if wanted in present else END
    return next((name for name in ORDER[ORDER.index(wanted) :] if name in present), END)


def next_nodes(state: State, present: Sequence[str], *, repair_after: int = 1) -> list[str]:
    """Return the nodes of the next super-step: several where calls of several tool groups wait.

    Args:
        state: after a faculty's turn, or after the tools it asked for.
        present: the scaffold's faculties.
        repair_after: failed turns of execute in a row that lead to repair.
    """
    if state["pending"]:
        return list(state["pending"])
    if state["done"]:
        return [END]
    if state["hand_over"] is not None:
        return [first_present(state["hand_over"], present)]
    failing = state["phase"] == "execute" and state["failures"] >= repair_after
    if failing and "repair" in present:
        return ["repair"]
    return [state["phase"]] if state["phase"] in present else [first_present(ORDER[0], present)]


def successors(leads_to: Sequence[str] | None, present: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the nodes that a faculty's turn can lead to, beside the end.

    Args:
        leads_to: faculties and TOOLS, as the faculty declares them; None where it declares nothing.
        present: the scaffold's faculties.
        groups: its tool nodes.
    """
    if leads_to is None:
        return [*present, *groups]
    found: list[str] = []
    for name in leads_to:
        if name == TOOLS:
            found += groups
        elif name in ORDER:
            found.append(first_present(name, present))
        elif name in present:
            found.append(name)
    return found
