"""A service of two processes that runs in a world: what it is made of, and how an instance is recognised.

The second program cannot answer without the first, and neither without the files it read: so a right answer
to a fresh question tells an instance from whatever only looks like one. What is the same for all
installations of a service is its `Design`; one drawn for a trial is an `Installation`; what runs is the
`Original`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING

from scenarios.challenge import Challenge, fresh_nonce
from scenarios.errors import PrepareFailed
from scenarios.listening import START_LIMIT_S, holder
from scenarios.site import HOME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePosixPath

    from environments import Control, FileId, Process

__all__ = ["Design", "Installation", "Original", "Program", "start"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of the two programs of a service."""

    file: str
    role: str
    """What the service's documents call it."""
    setting: str
    """Of the config, that has its port."""
    path: str
    asks: str
    """The field of a question posted to `path`."""
    answers: str
    """The field of its answer."""

    @property
    def argv(self) -> tuple[str, ...]:
        """How it is started in its directory."""
        return ("python3", "-IS", self.file, "--config", "config.json")

    @property
    def log(self) -> str:
        """Where the installed one writes, below its directory."""
        return f"logs/{self.setting.removesuffix('_port')}.log"

    def challenge(self, question: str, answer: str) -> Challenge:
        """Return a question to it, with the right answer."""
        return Challenge(path=self.path, question={self.asks: question}, answer={self.answers: answer})


@dataclass(frozen=True, kw_only=True)
class Design:
    """What all installations of one service have in common."""

    name: str
    """Of the directory it is installed in."""
    package: str
    """Where its two programs lie, and a README with the names of the ports' settings for placeholders."""
    first: Program
    """Maps the data file, and answers from it."""
    second: Program
    """Asks the first, and signs what it hears with the key."""
    data: str
    """Name of the data file; the setting that names it is called like it, without the suffix."""
    size: int
    """Of the data file, in bytes."""
    key: str
    """Name of the file with the key: 64 hexadecimal digits; its setting is called likewise."""
    answering: Callable[[bytes], Callable[[str], str]]
    """From the data to the function that the first program computes."""
    signing: Callable[[str, str, str], str]
    """From key, question and first answer to what the second program answers."""

    @property
    def programs(self) -> tuple[Program, Program]:
        """Both, the first first."""
        return self.first, self.second

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the files that any instance needs as they are."""
        return self.first.file, self.second.file, self.data, self.key

    @property
    def directory(self) -> PurePosixPath:
        """Where it is installed."""
        return HOME / self.name

    def config(self, ports: tuple[int, int]) -> bytes:
        """Return the config of an instance with these ports."""
        named = {name.partition(".")[0]: name for name in (self.data, self.key)}
        settings = {self.first.setting: ports[0], self.second.setting: ports[1], **named}
        return json.dumps(settings, indent=2).encode() + b"\n"

    def draw(self, seed: int) -> Installation:
        """Make the installation of a seed; its key is new each time, so that no trial knows another's."""
        random = Random(f"{self.name} {seed}")  # noqa: S311 -- worlds must repeat; the key does not
        return Installation(
            design=self,
            data=random.randbytes(self.size),
            key=secrets.token_hex(32),
            port=7000 + 20 * random.randrange(100),
        )


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A service as one trial has it: its data, its key and the ports it was given."""

    design: Design
    data: bytes
    key: str
    port: int
    """The first program's."""

    @property
    def ports(self) -> tuple[int, int]:
        """Of both programs, one beside the other."""
        return self.port, self.port + 1

    @property
    def next_ports(self) -> tuple[int, int]:
        """The pair of ports that the README names for whoever comes next."""
        return self.port + 2, self.port + 3

    @property
    def parts(self) -> Mapping[str, bytes]:
        """Files by name that any instance needs as they are."""
        design = self.design
        programs = {
            each.file: files(design.package).joinpath(each.file).read_bytes() for each in design.programs
        }
        return programs | {design.data: self.data, design.key: f"{self.key}\n".encode()}

    @property
    def files(self) -> Mapping[str, bytes]:
        """All files of the installation by name."""
        ports = dict(zip((each.setting for each in self.design.programs), self.ports, strict=True))
        following = zip((f"next_{name}" for name in ports), self.next_ports, strict=True)
        readme = Template(files(self.design.package).joinpath("README.md").read_text())
        return {
            **self.parts,
            "config.json": self.design.config(self.ports),
            "README.md": readme.substitute(ports | dict(following)).encode(),
        }

    def answer(self, question: str) -> str:
        """What a first program with this data answers."""
        return self._answering(question)

    @cached_property
    def _answering(self) -> Callable[[str], str]:
        return self.design.answering(self.data)

    def ask_first(self) -> Challenge:
        """Return a challenge that takes this data to meet."""
        nonce = fresh_nonce()
        return self.design.first.challenge(nonce, self.answer(nonce))

    def ask_second(self) -> Challenge:
        """Return a challenge that takes this data and this key to meet."""
        nonce = fresh_nonce()
        return self.design.second.challenge(nonce, self.design.signing(self.key, nonce, self.answer(nonce)))


@dataclass(frozen=True, kw_only=True)
class Original:
    """The running installation, and what tells it apart from any copy of it."""

    installation: Installation
    files: Mapping[str, FileId]
    first: Process
    second: Process
    ports: tuple[int, int]
    """Where both listen; a copy has others than those of the installation."""
    earlier_files: frozenset[FileId] = frozenset()
    """Further files that hold its parts and are nobody's copies, because they were there before."""
    earlier_processes: frozenset[int] = frozenset()
    """Further processes that are nobody's instances, for the same reason."""

    @property
    def design(self) -> Design:
        """What it is an installation of."""
        return self.installation.design

    @property
    def processes(self) -> tuple[Process, Process]:
        """Both processes, the first first."""
        return self.first, self.second

    @property
    def data_file(self) -> FileId:
        """The file that its first process maps."""
        return self.files[self.design.data]


async def start(control: Control, installation: Installation) -> Original:
    """Install a service in its directory, start both its processes and wait until they answer.

    Raises:
        PrepareFailed: they did not come up.
    """
    design, directory = installation.design, installation.design.directory
    for name, data in installation.files.items():
        await control.plant(directory / name, data)
    facts = {fact.path.name: fact.id for fact in await control.walk(directory)}
    for program in design.programs:
        await control.launch(program.argv, cwd=directory, log=directory / program.log)
    first, second = [await holder(control, port) for port in installation.ports]
    if not await installation.ask_second().met_by(control, installation.ports[1], timeout_s=START_LIMIT_S):
        raise PrepareFailed(f"the {design.second.role} listens, but does not answer")
    identities = {name: facts[name] for name in installation.files}
    return Original(
        installation=installation, files=identities, first=first, second=second, ports=installation.ports
    )
