"""What a recipe is: one kind of task, described by what there is to look at, to do and to mend.

A recipe knows words, not worlds: how an instruction of its kind is put, how documents and errors say
things. Every value comes from the conversation, through patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from scaffold.models.simulated.errands.facts import Call, Facts

__all__ = ["Look", "Patterns", "Recipe", "Snag", "Step"]

Patterns = Mapping[str, str]
"""Fact -> a regular expression for how a text states it."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Something to look at before acting. Where a blank cannot be filled, it cannot be looked at yet."""

    name: str
    call: Call
    facts: Patterns = field(default_factory=dict)
    obvious: bool = False
    """Hardly anybody needs to be prompted to look at it."""
    each: str = ""
    """Once for every record of this fact."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do. It failed where its result says so."""

    name: str
    text: str
    """How it stands in a plan."""
    call: Call
    each: str = ""
    known_from: tuple[str, ...] = ()
    """Looks without which nobody can plan it."""
    skill: Literal["foresight", "care"] = "foresight"
    """Which decides whether it is forgotten."""
    certain: bool = False
    """It is the task itself, and not forgotten."""
    facts: Patterns = field(default_factory=dict)
    right: str = ""
    """What a result must hold, beside not being a failure."""
    instead: Call | None = None
    """What is done by whoever forgets it, or does not know enough to do it."""


@dataclass(frozen=True, kw_only=True)
class Snag:
    """A kind of trouble: how errors tell of it, and how it is mended."""

    name: str
    signs: tuple[str, ...]
    """Regular expressions for errors; named groups say what it is about, and fill the mending calls."""
    mends: tuple[Call, ...]
    """In order. The results are read for further trouble."""
    noticed: Patterns = field(default_factory=dict)
    """Look -> a regular expression by which the trouble is seen there before it does harm."""
    concerns: str = ""
    """A fact that must have the value that the trouble is about, or it is none of the subject's business."""
    facts: Patterns = field(default_factory=dict)
    """Read from the results of the mending calls."""
    needs: tuple[str, ...] = ()
    """Looks to be taken first, in order."""
    evident_from: str = ""
    """It is understood more easily where this look was taken."""
    undoes: tuple[str, ...] = ()
    """Steps to be done again once it is mended, beside the one that failed."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One kind of task."""

    name: str
    asked: str
    """A regular expression for instructions of this kind."""
    looks: tuple[Look, ...]
    """In the order in which they are taken."""
    steps: tuple[Step, ...]
    done: str
    """What is said in the end; a template."""
    snags: tuple[Snag, ...] = ()
    """In the order in which mending makes sense."""
    facts: Patterns = field(default_factory=dict)
    """Read from the instruction."""
    inferred: Mapping[str, Callable[[Facts], str | None]] = field(default_factory=dict)
    """Fact -> what follows from other facts."""
