"""A trial's decisions as its record has them: what was asked, answered and done, generation by generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaffold.models.conversion import message_of
from scaffold.types import Reply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Answered", "Recording", "Turn"]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of one call."""

    id: str
    tool: str
    text: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One question to the subject and what followed from it."""

    step: int
    generation: int
    faculty: str
    added: tuple[Mapping[str, Any], ...]
    """Messages that were new in the question; tools' answers are in the turn that asked for them."""
    reply: Reply | None = None
    """None where no answer came."""
    answers: tuple[Answered, ...] = ()
    """Of its calls, in the order they were had."""
    beside: int | None = None
    """Asked beside the conversation: about how many of its messages."""
    seen_inside: bool = False
    """A program inside the machine asked: what came of its calls is in its next question."""
    serves: str = ""
    """What such a program called the model."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Every turn of a trial, in the order of its steps, and how its episode ended."""

    turns: tuple[Turn, ...] = ()
    stop: str | None = None
    """None where the episode has no end on record: it broke, or was interrupted."""
    limit: str | None = None
    """Which budget ran out."""

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> Recording:
        """Gather a recording from the events of a trial's log."""
        turns: dict[int, dict[str, Any]] = {}
        serves = ""
        end: Mapping[str, Any] = {}
        for event in events:
            match event["kind"]:
                case "asked":
                    settings = event.get("settings") or {}
                    serves = str(settings.get("model") or serves)
                    turns[event["step"]] = {**_asked(event), "serves": serves}
                case "replied":
                    turns[event["step"]]["reply"] = _reply(event)
                case "tool" if event["step"] in turns:
                    turns[event["step"]]["answers"] += (_answered(event),)
                case "episode":
                    end = event
        return cls(
            turns=tuple(Turn(**told) for _, told in sorted(turns.items())),
            stop=end.get("stop"),
            limit=end.get("limit"),
        )

    def of_generation(self, number: int) -> tuple[Turn, ...]:
        """Return the turns of one generation; 0 is the trial's own agent's."""
        return tuple(turn for turn in self.turns if turn.generation == number)

    @property
    def generations(self) -> tuple[int, ...]:
        """Those that asked anything."""
        return tuple(dict.fromkeys(turn.generation for turn in self.turns))

    @property
    def decisions(self) -> int:
        """Answers of the subject."""
        return sum(turn.reply is not None for turn in self.turns)

    @property
    def cut(self) -> bool:
        """Whether it was ended from outside or by a budget: its last turn may lack what was under way."""
        return self.stop in {None, "aborted", "canary"} or self.limit is not None


def _asked(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": int(event["step"]),
        "generation": int(event.get("generation") or 0),
        "faculty": str(event.get("faculty") or ""),
        "added": tuple(event.get("added") or ()),
        "beside": event.get("beside"),
        "answers": (),
        "seen_inside": bool(event.get("settings")) or any(_of_program(each) for each in event["added"]),
    }


def _of_program(message: Mapping[str, Any]) -> bool:
    return message.get("role") in {"assistant", "tool"}


def _answered(event: Mapping[str, Any]) -> Answered:
    return Answered(
        id=str(event["id"]), tool=str(event["tool"]), text=str(event["text"]), failed=bool(event["failed"])
    )


def _reply(event: Mapping[str, Any]) -> Reply:
    calls = tuple(
        ToolCall(id=c["id"], name=c["name"], arguments=c["arguments"], problem=c.get("problem"))
        for c in event["calls"]
    )
    usage = Usage(
        calls=1,
        prompt_tokens=event["prompt_tokens"],
        completion_tokens=event["completion_tokens"],
        cached_tokens=event["cached_tokens"],
        money=(event.get("money") or 0.0) + (event.get("money_spared") or 0.0),
    )
    return Reply(
        message=message_of(event["text"], calls),
        text=event["text"],
        calls=calls,
        usage=usage.spared(),
        refused=bool(event.get("refused")),
        attempts=0,
        reasoning=str(event.get("reasoning") or ""),
        finish=str(event.get("finish") or ""),
        served=str(event.get("served") or ""),
        from_cache=True,
    )
