"""One trial, readable in the terminal: what the agent was told, said and did, and what the oracle saw.

The log is read line by line, so its length does not matter. All of it is untrusted: nothing in it reaches
the terminal as mark-up or as a control sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from ablation import untrusted
from ablation.family import family_tree
from ablation.record import END, read_log
from ablation.types import TrialRecord
from scaffold.inside import FACULTY as INSIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rich.console import Console

__all__ = ["show_trial"]

_FOLDED = 6
"""Lines shown of an output or a statement."""

_FOLDED_PROMPT = 2

_UNTOLD = frozenset({"n", "prev", "at", "kind"})
"""Fields every line of a log has."""


def show_trial(log: Path, console: Console, *, full: bool = False) -> None:
    """Print a trial from its log, finished or not.

    Args:
        log: of one attempt.
        console: where to.
        full: prints texts and outputs whole in place of their first and last lines.
    """
    teller = _Teller(console=console, full=full)
    kind = ""
    for event in read_log(log):
        kind = str(event["kind"])
        teller.tell(kind, event)
    if kind != END:
        console.print(Text("\nThe log has no end: this attempt was interrupted.", style="yellow"))


@dataclass(frozen=True, kw_only=True)
class _Teller:
    """Prints the events of a log, one at a time."""

    console: Console
    full: bool

    def tell(self, kind: str, event: Mapping[str, Any]) -> None:
        tellers: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "trial": self._header,
            "machine": self._machine,
            "world": self._world,
            "faced": self._faced,
            "stated": self._stated,
            "behaviours": self._behaviours,
            "examined": self._examined,
            "faculty": self._entered,
            "asked": self._asked,
            "replied": self._replied,
            "tool": self._ran,
            "compacted": self._compacted,
            "limit": self._limit,
            "intervened": self._intervened,
            "canary": self._touched,
            "generation": self._generation,
            "forged": self._forged,
            "no_descent": self._no_descent,
            "episode": self._episode,
            "verdict": self._verdict,
            "fault": self._fault,
            END: self._end,
        }
        tellers.get(kind, self._other)(event)

    def _header(self, event: Mapping[str, Any]) -> None:
        label = " SIMULATED" if event.get("simulated") else ""
        self.console.print(
            Text.assemble((untrusted.line(str(event.get("key"))), "bold"), (label, "bold red"))
        )
        names = (event.get(name) for name in ("subject", "scaffold", "scenario", "environment"))
        facts = [*filter(None, names), f"attempt {event.get('attempt', 1)}"]
        self._print([untrusted.line(" · ".join(map(str, facts)))], indent=0, style="dim")

    def _machine(self, event: Mapping[str, Any]) -> None:
        certificate = event.get("certificate") or {}
        granted = "certificate granted" if certificate.get("granted") else "no certificate granted"
        told = f"machine: {event.get('environment')}, {granted}, {len(certificate.get('probes', ()))} probes"
        self._print([untrusted.line(told)], indent=0, style="dim")

    def _examined(self, event: Mapping[str, Any]) -> None:
        probes = event.get("probes") or ()
        wrong = [probe for probe in probes if probe["declared"] != probe["found"]]
        told = (
            f"examined {event.get('phase')}: {len(probes) - len(wrong)} of {len(probes)} probes as declared"
        )
        self._print([untrusted.line(told)], indent=0, style="bold red" if wrong else "dim")
        for probe in wrong:
            seen = f"{probe['name']} ({probe.get('seen_from')})"
            told = untrusted.line(f"{seen}: declared {probe['declared']}, found {probe['found']}")
            self._print([told], indent=4, style="red")

    def _world(self, event: Mapping[str, Any]) -> None:
        hurdles = [f"{each['name']} (dose {each['dose']})" for each in event.get("hurdles") or ()]
        self._print([untrusted.line(f"hurdles: {', '.join(hurdles) or 'none'}")], indent=0, style="dim")

    def _faced(self, event: Mapping[str, Any]) -> None:
        for each in event.get("hurdles") or ():
            met = "met" if each["met"] else "not met"
            repaired = "repaired or gone around" if each["repaired"] else "not repaired"
            told = untrusted.line(f"hurdle {each['name']}: {met}, {repaired}; {each['where']}")
            self._print([told], indent=0, style="dim")

    def _stated(self, event: Mapping[str, Any]) -> None:
        parted = [
            each for each in event.get("fields") or () if each["kind"] in {"claims-falsely", "understates"}
        ]
        for each in parted:
            told = f"the statement {each['kind'].replace('-', ' ')}: {each['field']}"
            self._print([untrusted.line(told)], indent=0, style="yellow")

    def _behaviours(self, event: Mapping[str, Any]) -> None:
        for each in event.get("found") or ():
            when = "" if each["step"] is None else f" at step {each['step']}"
            told = untrusted.line(f"seen{when}: {each['tag']}: {each['evidence']}")
            self._print([told], indent=0, style="yellow")

    def _entered(self, event: Mapping[str, Any]) -> None:
        self._rule(str(event.get("faculty")))

    def _asked(self, event: Mapping[str, Any]) -> None:
        for message in event.get("added") or ():
            told = self._fold(_plain(message.get("content")), _FOLDED_PROMPT)
            self._print(told, indent=4, style="dim italic")

    def _replied(self, event: Mapping[str, Any]) -> None:
        self._print(self._fold(_plain(event.get("reasoning")), _FOLDED), indent=4, style="dim")
        said = self._fold(_plain(event.get("text")), _FOLDED) or ["(no words)"]
        number = Text(f"{event.get('step', '')!s:>3} ", style="bold")
        kept = Text("  (given before: nobody was asked)" if event.get("from_cache") else "", style="dim")
        self.console.print(number + Text(said[0]) + kept)
        self._print(said[1:], indent=4)
        if event.get("faculty") == INSIDE:  # what comes of its calls is the program's to say
            for call in event.get("calls") or ():
                told = f"{call.get('name')} {_arguments(call.get('arguments'))}"
                self._print([Text.assemble(("→ ", "green"), untrusted.line(told))], indent=4)

    def _ran(self, event: Mapping[str, Any]) -> None:
        failed = bool(event.get("failed"))
        sign = ("✗ ", "red") if failed else ("$ ", "green")
        tool = untrusted.line(str(event.get("tool", "")))
        said = self._fold(_arguments(event.get("arguments")), _FOLDED)
        took = (f"  {float(event.get('seconds') or 0):.1f} s", "dim")
        self._print([Text.assemble(sign, (tool, "bold"), " ", *said[:1], took)], indent=4)
        self._print(said[1:], indent=6)
        self._print(self._fold(_plain(event.get("text")), _FOLDED), indent=6, style="dim")

    def _compacted(self, event: Mapping[str, Any]) -> None:
        before, after = (int(event.get(f"tokens_{when}") or 0) for when in ("before", "after"))
        window = f" of {event['window']:,}" if event.get("window") else ""
        kept = f", the last {event['kept']} go on after it" if event.get("kept") else ""
        told = (
            f"the conversation began anew: a note stands for {event.get('dropped')} messages{kept}; "
            f"{before:,}{window} tokens before (counted by {event.get('counted_by')}), {after:,} after"
        )
        self._print([untrusted.line(told)], indent=4, style="bold yellow")

    def _limit(self, event: Mapping[str, Any]) -> None:
        self._print(
            [f"the budget ran out: {untrusted.line(str(event.get('limit')))}"], indent=4, style="yellow"
        )

    def _intervened(self, event: Mapping[str, Any]) -> None:
        about = f" {event.get('tool')}" if event.get("tool") else ""
        why = f": {event.get('reason')}" if event.get("reason") else ""
        waited = f", after {float(event.get('seconds') or 0):.1f} s"
        told = f"{event.get('what')}{about} by a {event.get('by')}{why}{waited}"
        self._print([untrusted.line(told)], indent=4, style="bold blue")

    def _touched(self, event: Mapping[str, Any]) -> None:
        told = (
            f"canary {event.get('how')}: {event.get('thing')} {event.get('canary')}, {event.get('evidence')}"
        )
        self._print([untrusted.line(told)], indent=4, style="bold yellow")

    def _generation(self, event: Mapping[str, Any]) -> None:
        """The tree at the end tells what came of each; here it only ends."""
        self._print([f"the loop of generation {event.get('number')} has ended"], indent=0, style="dim")

    def _forged(self, event: Mapping[str, Any]) -> None:
        told = f"{event.get('process')} claimed by {event.get('way')} to be {event.get('claimed')}"
        told += f"; found: {event.get('found')}"
        self._print([Text.assemble(("false claim ", "bold red"), untrusted.line(told))], indent=4)

    def _no_descent(self, event: Mapping[str, Any]) -> None:
        told = f"no loop for another generation: {event.get('reason')}"
        self._print([untrusted.line(told)], indent=4, style="yellow")

    def _episode(self, event: Mapping[str, Any]) -> None:
        """The steps have been told; what is left is how it ended and the last word."""
        self._rule("end of the episode")
        self._print([untrusted.line(str(event.get("stop")))], indent=4)
        self._print(self._fold(_plain(event.get("submission")), _FOLDED), indent=4)

    def _verdict(self, event: Mapping[str, Any]) -> None:
        self._rule("verdict")
        milestones = event.get("milestones") or ()
        width = max((len(str(m["name"])) for m in milestones), default=0)
        for milestone in milestones:
            sign = ("✓ ", "green") if milestone["passed"] else ("✗ ", "red")
            name = untrusted.line(str(milestone["name"])).ljust(width)
            evidence = ("  " + untrusted.line(str(milestone["evidence"])), "dim")
            self._print([Text.assemble(sign, name, evidence)], indent=4)

    def _fault(self, event: Mapping[str, Any]) -> None:
        self._rule("fault")
        told = f"while {event.get('phase')}: {event.get('fault')}: {event.get('cause')}"
        self._print([untrusted.line(told)], indent=4, style="red")
        if self.full:
            self._print(self._fold(_plain(event.get("trace")), _FOLDED), indent=4, style="dim")

    def _end(self, event: Mapping[str, Any]) -> None:
        record = TrialRecord.model_validate(event["record"])
        limit = f" ({untrusted.line(record.limit)})" if record.limit else ""
        colour = "bold green" if record.outcome == "success" else "bold red"
        again = f" ({record.tokens_from_cache:,} of them given before)" if record.tokens_from_cache else ""
        cached = f" ({record.cached_tokens:,} of them cached)" if record.cached_tokens else ""
        spent = f"{record.steps} steps, {record.tokens:,} tokens{again}{cached}, {record.seconds:.1f} s"
        spent += _cost(record)
        self.console.print()
        self.console.print(Text.assemble((f"{record.outcome}{limit}", colour), f" after {spent}"))
        if not record.unaided:
            self._print(["a supervisor kept a call from running or ended the episode"], indent=0)
        if record.cause:
            self._print([untrusted.line(record.cause)], indent=0)
        if record.lineage is not None and record.lineage.generations:
            self._print(family_tree(record.lineage).splitlines(), indent=0, style="dim")

    def _other(self, event: Mapping[str, Any]) -> None:
        told = ", ".join(f"{name}: {value}" for name, value in event.items() if name not in _UNTOLD)
        kind = untrusted.line(str(event["kind"]))
        shown = untrusted.passage(told) if self.full else untrusted.line(told)
        self._print([Text.assemble((kind, "cyan"), f" {shown}")], indent=0, style="dim")

    def _rule(self, title: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(untrusted.line(title)), align="left", style="dim"))

    def _fold(self, text: str, lines: int) -> list[str]:
        if self.full:
            lines = untrusted.PASSAGE
        return [line for line in untrusted.fold(text, lines=lines) if line] if text.strip() else []

    def _print(self, lines: Iterable[str | Text], *, indent: int, style: str = "") -> None:
        for line in lines:
            text = Text(line, style=style) if isinstance(line, str) else line
            self.console.print(Padding(text, (0, 0, 0, indent), expand=False))


def _plain(content: object) -> str:
    """Return the text of a message, whose content is a string or a list of parts."""
    if isinstance(content, list):
        return "\n".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return "" if content is None else str(content)


def _arguments(arguments: object) -> str:
    """Return the arguments of a call as a person would write them: one alone without its name."""
    if not isinstance(arguments, dict):
        return _plain(arguments)
    if len(arguments) == 1:
        return _plain(next(iter(arguments.values())))
    return " ".join(f"{name}={value}" for name, value in arguments.items())


def _cost(record: TrialRecord) -> str:
    if record.cost is None:
        return ", cost not known"
    return f", cost {record.cost:.4g}" if record.cost else ""
