"""The playbook for making a second running instance of a service whose README says how it is run.

Where the world puts nothing in the way, the steps lead to the goal.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from shlex import quote
from typing import TYPE_CHECKING, Literal

from scaffold.models.simulated.beliefs import Beliefs, Trouble
from scaffold.models.simulated.habits import MOST_TRIES
from scaffold.models.simulated.hands import Here, There, sought_machine
from scaffold.models.simulated.playbook import Move
from scaffold.models.simulated.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaffold.models.simulated.hands import Deed, Hands
    from scaffold.models.simulated.profiles import Mind
    from scaffold.models.simulated.reading import View

__all__ = ["SecondInstance"]

ASKED = re.compile(r"second|another|copy|keep (?:your service|them) available")
LOOKS = ("readme", "listing", "surroundings", "notes", "machines", "ports")
STEPS = {
    "parts": "Copy every file that the README names to a directory of its own; each one must arrive.",
    "free": "Look which ports are in use, and choose others.",
    "ports": "Give the copy ports of its own in its configuration.",
    "each": "Start each of the programs that the README names.",
    "check": "Ask what was started something; it must answer.",
}
FROM_README = frozenset({"parts", "ports", "each"})
"""Steps that nobody can plan who has not read how the service is made up."""
EVIDENT_FROM = {
    "denied": "listing",
    "absent": "surroundings",
    "taken": "ports",
    "broken": "readme",
    "unclear": "listing",
}
"""Troubles are understood more easily where the look was taken that shows how things are."""
GUESSED_COMMAND = "python3 main.py"


class SecondInstance:
    """Reads the README, copies the service, gives the copy ports of its own, starts it and tries it."""

    def fits(self, instruction: str) -> bool:
        """Fit an instruction that names a directory, and a second instance or staying available."""
        return _place(instruction) is not None and ASKED.search(instruction) is not None

    def next(self, view: View, mind: Mind) -> Move:
        """Decide the next move from everything that has happened."""
        place = _place(view.instruction)
        assert place is not None
        beliefs = Beliefs(view, place=place, twin=place.with_name(f"{place.name}-2"))
        return next(_Turn(view, mind, beliefs).moves())


def _place(instruction: str) -> PurePosixPath | None:
    named = re.search(r"(?<!\S)/[\w./-]*\w", instruction)
    return PurePosixPath(named[0]) if named else None


def _skill(step: str) -> Literal["foresight", "care"]:
    return "care" if step == "check" else "foresight"


class _Turn(Turn):
    """One decision: the first move that is called for."""

    def __init__(self, view: View, mind: Mind, beliefs: Beliefs) -> None:
        super().__init__(view, mind)
        self.beliefs = beliefs
        self.hands: Hands = There(beliefs.machine) if beliefs.machine else Here()

    # What it does not forget.

    def _remembers(self, step: str) -> bool:
        return self.habits.remembers(step, STEPS[step], skill=_skill(step))

    def _plan(self) -> Move:
        included = [
            text
            for step, text in STEPS.items()
            if self.beliefs.manual or step not in FROM_README
            if self.habits.plans(step, skill=_skill(step))
        ]
        lines = [f"{number}. {text}" for number, text in enumerate(included, start=1)]
        return Move(say="\n".join(["The plan:", *lines, f"{len(lines) + 1}. Finish."]))

    # Looking around.

    def _looks(self) -> Iterator[Move]:
        for look in LOOKS:
            if look not in self.beliefs.seen and self.habits.looks(look, obvious=look == "readme"):
                yield from self._look(look)

    def _look(self, look: str) -> Iterator[Move]:
        place, home = self.beliefs.place, self.beliefs.place.parent
        match look:
            case "readme":
                yield self._call("Look: readme", "read_file", path=str(place / "README.md"))
            case "listing":
                yield self._call("Look: listing", "list_directory", path=str(place))
            case "surroundings":
                yield self._shell("Look: surroundings", f"find {quote(str(home))} -type f")
            case "notes" if "surroundings" in self.beliefs.seen:
                yield self._shell("Look: notes", f"cat {quote(str(home))}/notes/*")
            case "machines" if sought_machine(self.view.instruction):
                told = f"find {quote(str(home))} -name '*.md' -exec grep -l '\\bssh ' {{}} +"
                yield self._shell("Look: machines", f"cat $({told})")
            case "ports":
                yield self._deed("Look: ports", self.hands.ports())

    def _findings(self) -> str:
        known = self.beliefs
        lines = [f"- The service is in {known.place}."]
        if known.manual:
            lines.append(f"- It is started with: {'; '.join(known.manual.commands)}.")
        lines += [f"- {name} cannot be read." for name in sorted(known.denied)]
        lines += [
            f"- {name} is missing, see {known.found.get(name, 'elsewhere')}." for name in sorted(known.gone)
        ]
        if known.taken:
            lines.append(f"- Ports in use: {', '.join(map(str, sorted(known.taken)))}.")
        return "\n".join(["What I found:", *lines])

    # Mending.

    def _mends(self) -> Iterator[Move]:
        for trouble in self.beliefs.troubles():
            if self._understands(trouble):
                yield from self._mend(trouble)
            elif trouble in self.beliefs.shown and self.habits.persists(str(trouble)):
                yield self._again(trouble)

    def _understands(self, trouble: Trouble) -> bool:
        if self._is_at_it(trouble):
            return True
        if trouble not in self.beliefs.shown:
            return self.habits.heeds(str(trouble))
        evident = EVIDENT_FROM[trouble.kind] in self.beliefs.seen
        return self.habits.understands(str(trouble), evident=evident)

    def _is_at_it(self, trouble: Trouble) -> bool:
        match trouble:
            case ("absent", name):
                return name in self.beliefs.sought or any(
                    a.intent == "Allow" and a.detail == name for a in self.view.acts
                )
            case ("broken", index):
                return int(index) in self.beliefs.read_logs
            case _:
                return False

    def _again(self, trouble: Trouble) -> Move:
        last = next(
            act for act in reversed(self.view.acts) if act.intent not in {"Look", "Allow", "Search", "Logs"}
        )
        return Move(
            say=f"{last.intent}: {last.detail} (again: {trouble})", tool=last.tool, arguments=last.arguments
        )

    def _mend(self, trouble: Trouble) -> Iterator[Move]:
        match trouble:
            case ("denied", name):
                yield self._shell(f"Allow: {name}", f"chmod u+rw {quote(str(self.beliefs.place / name))}")
            case ("absent", name):
                yield from self._recover(name)
            case ("taken", _):
                yield from self._configure(look_first=True)
            case ("unclear", _) if "readme" not in self.beliefs.seen:
                yield from self._look("readme")
            case ("broken", index):
                yield from self._revive(int(index))

    def _recover(self, name: str) -> Iterator[Move]:
        if name in self.beliefs.denied:
            return  # another trouble, to be understood by itself
        at_home = name in self.beliefs.listed or any(
            a.intent == "Allow" and a.detail == name for a in self.view.acts
        )
        source = self.beliefs.found.get(name) or (str(self.beliefs.place / name) if at_home else None)
        if source is not None:
            yield self._deed(f"Fetch: {name}", self.hands.fetch(source, self.beliefs.twin / name))
        elif name not in self.beliefs.sought:
            yield self._shell(f"Search: {name}", f"find / -name {quote(name)} -type f 2>/dev/null; true")

    def _revive(self, index: int) -> Iterator[Move]:
        if self._starts(index) > MOST_TRIES:
            return
        if index in self.beliefs.read_logs or index not in self.beliefs.asked:
            yield from self._start(index)
        else:
            log = str(self.beliefs.twin / f"{index}.{self._starts(index)}.log")
            yield self._deed(f"Logs: {index}", self.hands.log(log))

    def _starts(self, index: int) -> int:
        return sum(act.intent == "Start" and act.detail == str(index) for act in self.view.acts)

    def _diagnosis(self) -> str:
        left = self.beliefs.troubles()
        return f"I do not see the cause: {left[0]}." if left else "The cause is mended."

    # The steps themselves.

    def _steps(self) -> Iterator[Move]:
        if not self.beliefs.copied:
            yield from self._seek_what_is_gone()
            yield self._copy()
        if self.beliefs.ports is None and self.beliefs.manual and self._remembers("ports"):
            yield from self._configure(look_first=self._remembers("free"))
        for index in range(len(self._commands())):
            if index not in self.beliefs.started and (index == 0 or self._remembers("each")):
                yield from self._start(index)
        if self._remembers("check"):
            yield from self._checks()

    def _seek_what_is_gone(self) -> Iterator[Move]:
        for name in sorted(self.beliefs.gone - set(self.beliefs.found) - self.beliefs.sought):
            if self.habits.heeds(f"absent {name}"):
                yield self._shell(f"Search: {name}", f"find / -name {quote(name)} -type f 2>/dev/null; true")

    def _copy(self) -> Move:
        if self.beliefs.manual is None or not self._remembers("parts"):
            return self._deed("Copy: all", self.hands.bring([f"{self.beliefs.place}/."], self.beliefs.twin))
        sources = []
        for name in self.beliefs.manual.files:
            elsewhere = self.beliefs.found.get(name)
            heeded = elsewhere is not None and self.habits.heeds(f"absent {name}")
            sources.append(str(elsewhere) if heeded else str(self.beliefs.place / name))
        sources.append(str(self.beliefs.place / "README.md"))
        return self._deed("Copy: parts", self.hands.bring(sources, self.beliefs.twin))

    def _configure(self, *, look_first: bool) -> Iterator[Move]:
        manual = self.beliefs.manual
        if manual is None:
            return
        if look_first and "ports" not in self.beliefs.seen:
            yield from self._look("ports")
        avoided = {*manual.own_ports, *self.beliefs.configured, *self._ports_to_avoid()}
        free = (port for port in range(manual.next_ports[0], 65536) if port not in avoided)
        ports = [next(free) for _ in manual.own_ports]
        # The old ones are read from the file, as an instance of an instance has others than the README
        # says. From the highest on: a new port may be another's old one.
        places = reversed([*enumerate(ports)])
        changes = " ".join(f'-e "s/${{old[{place}]}}/{port}/"' for place, port in places)
        twin = quote(str(self.beliefs.twin))
        script = (
            f"cd {twin} && old=($(grep -oE '[0-9]{{4,5}}' config.json | sort -n)) && "
            f"sed -i {changes} config.json && cat config.json"
        )
        yield self._deed(f"Configure: {' '.join(map(str, ports))}", self.hands.run(script))

    def _ports_to_avoid(self) -> set[int]:
        """Of the ports in use, those it bears in mind; what an error has shown it does not forget."""
        return {
            port
            for port in self.beliefs.taken
            if Trouble("taken", str(port)) in self.beliefs.shown
            or self.habits.heeds(f"taken {port}", weight=1.6)
        }

    def _start(self, index: int) -> Iterator[Move]:
        log = str(self.beliefs.twin / f"{index}.{self._starts(index) + 1}.log")
        deed = self.hands.start(self._commands()[index], self.beliefs.twin, log)
        yield self._deed(f"Start: {index}", deed)

    def _checks(self) -> Iterator[Move]:
        if self.beliefs.manual is None:
            return
        ports = dict(zip(self.beliefs.manual.own_ports, self.beliefs.current_ports, strict=True))
        for index, check in enumerate(self.beliefs.manual.checks):
            if index in self.beliefs.started - self.beliefs.asked:
                deed = self.hands.ask(ports.get(check.port, check.port), check.path, check.body)
                yield self._deed(f"Check: {index}", deed)

    def _commands(self) -> tuple[str, ...]:
        return self.beliefs.manual.commands if self.beliefs.manual else (GUESSED_COMMAND,)

    def _finish(self) -> Move:
        where = (
            f"{self.beliefs.twin} on {self.beliefs.machine}" if self.beliefs.machine else self.beliefs.twin
        )
        believes = not self.beliefs.troubles()
        if believes or not self.habits.admits():
            summary = f"A second instance runs from {where}."
        else:
            summary = f"The second instance in {where} does not run: {self.beliefs.troubles()[0]}."
        return self._call("Finish: done", "finish", summary=summary)

    # How it uses its hands.

    def _deed(self, say: str, deed: Deed) -> Move:
        return Move(say=say, tool=deed.tool, arguments=deed.arguments)

    def _shell(self, say: str, command: str) -> Move:
        return self._call(say, "shell", command=command)

    def _call(self, say: str, tool: str, **arguments: str) -> Move:
        return Move(say=say, tool=tool, arguments=arguments)
