"""What a subject believes about the service and its copy, after everything it has done and read."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from scaffold.models.simulated.hands import named_machine
from scaffold.models.simulated.manual import Manual

if TYPE_CHECKING:
    from scaffold.models.simulated.reading import Act, View

__all__ = ["Beliefs", "Trouble"]

LISTED = re.compile(r"^(-\S{9})\S* .*\s(\S+)$", re.MULTILINE)
ABSOLUTE = re.compile(r"^(/\S+)$", re.MULTILINE)
MOVED = re.compile(r"moved (/\S+) to (/[^\s]+?)\.?(?=\s|$)")
MACHINE = re.compile(r"\bssh (?:\w+@)?(\w+)")
PORT = re.compile(r"\bport (\d+)")
DENIED = re.compile(r"(?:open|access|read|touch) '?(?P<path>[^':\n]+)'?[^\n]*Permission denied")
ABSENT = re.compile(r"(?:stat|open|access|read) '?(?P<path>[^':\n]+)'?[^\n]*No such file")
TAKEN = re.compile(r"127\.0\.0\.1:(?P<port>\d+): Address already in use")


class Trouble(NamedTuple):
    """Something that stands in the way, as far as the subject has noticed."""

    kind: str
    """`denied`, `absent`, `taken`, `unclear` or `broken`."""
    subject: str

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Beliefs:
    """Made anew from the conversation for every answer, by going through the acts in order."""

    def __init__(self, view: View, *, place: PurePosixPath, twin: PurePosixPath) -> None:
        self.place = place
        self.twin = twin
        self.manual: Manual | None = None
        self.seen: set[str] = set()
        """What was looked at."""
        self.listed: set[str] = set()
        self.denied: set[str] = set()
        self.found: dict[str, str] = {}
        """Where a file lies that is not where it should be."""
        self.sought: set[str] = set()
        self.lacking: set[str] = set()
        """Files that the copy does not have, though it was tried to give them to it."""
        self.taken: set[int] = set()
        self.machine = named_machine(view.instruction)
        """The other one, where the copy is to live; None for here, or where it is not known."""
        self.copied = False
        self.ports: tuple[int, ...] | None = None
        self.configured: set[int] = set()
        """Ports that the copy was ever given; what was started with them may still hold them."""
        self.started: set[int] = set()
        self.broken: set[int] = set()
        self.answered: set[int] = set()
        self.asked: set[int] = set()
        self.read_logs: set[int] = set()
        self.shown: set[Trouble] = set()
        """Troubles that an error has shown, rather than a look around."""
        for act in view.acts:
            learn = getattr(self, f"_{act.intent.lower()}", None)
            if learn is not None:
                learn(act)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the service's files, as far as they are known."""
        return self.manual.files if self.manual else tuple(sorted(self.listed - {"README.md"}))

    @property
    def current_ports(self) -> tuple[int, ...]:
        """Where the copy will listen as it is configured now: where the original does, unless changed."""
        if self.ports is not None:
            return self.ports
        return self.manual.own_ports if self.manual else ()

    @property
    def gone(self) -> set[str]:
        """Files that should be with the service and are not, by comparing what was looked at."""
        if self.manual is None or not self.listed:
            return set(self.found) & set(self.files)
        return set(self.manual.files) - self.listed

    def troubles(self) -> list[Trouble]:
        """Everything noticed and not mended, in the order in which mending makes sense."""
        troubles = [Trouble("denied", name) for name in sorted(self.denied & set(self.files))]
        troubles += [Trouble("absent", name) for name in sorted(self.lacking)]
        troubles += [
            Trouble("taken", str(port))
            for port in self.current_ports
            if Trouble("taken", str(port)) in self.shown
        ]
        if self.manual is None and self.broken:
            troubles.append(Trouble("unclear", "start"))
        return troubles + [Trouble("broken", str(index)) for index in sorted(self.broken)]

    def _look(self, act: Act) -> None:
        self.seen.add(act.detail)
        match act.detail:
            case "readme" if not act.failed:
                self.manual = Manual.read(act.result)
            case "listing":
                for mode, name in LISTED.findall(act.result):
                    self.listed.add(name)
                    if mode[1] != "r":
                        self.denied.add(name)
            case "surroundings" | "notes":
                self._locate(act.result)
            case "machines" if machine := MACHINE.search(act.result):
                self.machine = machine[1]
            case "ports":
                self.taken.update(map(int, PORT.findall(act.result)))

    def _locate(self, text: str) -> None:
        for _, path in MOVED.findall(text):
            self.found[PurePosixPath(path).name] = path
        for path in map(PurePosixPath, ABSOLUTE.findall(text)):
            inside = path.is_relative_to(self.place) or path.is_relative_to(self.twin)
            if not inside and path.name in self.files:
                self.found.setdefault(path.name, str(path))

    def _allow(self, act: Act) -> None:
        if not act.failed:
            self.denied.discard(act.detail)

    def _search(self, act: Act) -> None:
        self.sought.add(act.detail)
        for path in ABSOLUTE.findall(act.result):
            if PurePosixPath(path).name == act.detail:
                self.found[act.detail] = path

    def _copy(self, act: Act) -> None:
        self.copied = True
        if act.failed:
            self._blame(act.result)

    def _fetch(self, act: Act) -> None:
        if act.failed:
            self._blame(act.result)
        else:
            self.lacking.discard(act.detail)

    def _configure(self, act: Act) -> None:
        if act.failed:
            self._blame(act.result)
        self.ports = tuple(map(int, act.detail.split()))
        self.configured.update(self.ports)
        for progress in (self.started, self.broken, self.answered, self.asked, self.read_logs):
            progress.clear()

    def _start(self, act: Act) -> None:
        index = int(act.detail)
        self.started.add(index)
        self.read_logs.discard(index)
        self.asked.discard(index)
        self.broken.discard(index)
        if act.failed:
            self._break(index, act.result)

    def _check(self, act: Act) -> None:
        index = int(act.detail)
        self.asked.add(index)
        if act.failed or "200 OK" not in act.result:
            self._break(index, act.result)
        else:
            self.broken.discard(index)
            self.answered.add(index)

    def _logs(self, act: Act) -> None:
        self.read_logs.add(int(act.detail))
        self._blame(act.result)

    def _break(self, index: int, text: str) -> None:
        self.broken.add(index)
        self.answered.discard(index)
        self.shown.add(Trouble("broken", str(index)))
        if self.manual is None:
            self.shown.add(Trouble("unclear", "start"))
        self._blame(text)

    def _blame(self, text: str) -> None:
        """Take from an error what it says about its cause."""
        for match in DENIED.finditer(text):
            name = PurePosixPath(match["path"]).name
            self.denied.add(name)
            self.lacking.add(name)
            self.shown |= {Trouble("denied", name), Trouble("absent", name)}
        for match in ABSENT.finditer(text):
            name = PurePosixPath(match["path"]).name
            if name in self.files:
                self.lacking.add(name)
                self.shown.add(Trouble("absent", name))
        for match in TAKEN.finditer(text):
            self.taken.add(int(match["port"]))
            self.shown.add(Trouble("taken", match["port"]))
