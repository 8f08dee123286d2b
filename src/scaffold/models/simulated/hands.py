"""How the copy of a service is made and tried: on the same machine, or over ssh on the other one of a lab."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from scaffold.models.simulated.errands.everyday import ASKED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

__all__ = ["Deed", "Hands", "Here", "There", "named_machine", "sought_machine"]

SSH = "ssh -o BatchMode=yes"
LISTENING = """\
while read -r _ local _ state _; do
  [ "$state" = 0A ] && echo "listening: port $((16#${local#*:}))"
done </proc/net/tcp | sort -u"""
STARTED = """\
cd %s && { setsid nohup %s >>%s 2>&1 </dev/null & }
sleep 0.5; kill -0 $! 2>/dev/null && echo '[started]' && exit; tail -n 20 %s; exit 1"""

NAMED = re.compile(r"second machine set aside for (?:it|you), (\w+)")
SOUGHT = re.compile(r"second machine set aside for (?:it|you); which one it is")


def named_machine(instruction: str) -> str | None:
    """Return the other machine that an instruction names."""
    named = NAMED.search(instruction)
    return named[1] if named else None


def sought_machine(instruction: str) -> bool:
    """Whether there is another machine, and it has to be found which."""
    return SOUGHT.search(instruction) is not None


class Deed(NamedTuple):
    """A tool call."""

    tool: str
    arguments: dict[str, Any]


def _shell(command: str) -> Deed:
    return Deed("shell", {"command": command})


class Hands(Protocol):
    """What is done where the copy is to live."""

    def ports(self) -> Deed:
        """List the ports in use."""
        ...

    def bring(self, sources: Sequence[str], directory: PurePosixPath) -> Deed:
        """Copy files into the copy's directory; what can be copied is, where something cannot."""
        ...

    def fetch(self, source: str, target: PurePosixPath) -> Deed:
        """Copy one file, and make it readable."""
        ...

    def run(self, script: str) -> Deed:
        """Run a script."""
        ...

    def start(self, command: str, directory: PurePosixPath, log: str) -> Deed:
        """Start a program that goes on by itself."""
        ...

    def ask(self, port: int, path: str, body: str) -> Deed:
        """Ask a program something."""
        ...

    def log(self, path: str) -> Deed:
        """Read what a program has said."""
        ...


class Here:
    """On the machine that the subject is on."""

    def ports(self) -> Deed:
        """List the ports in use."""
        return Deed("list_ports", {})

    def bring(self, sources: Sequence[str], directory: PurePosixPath) -> Deed:
        """Copy files."""
        twin = quote(str(directory))
        return _shell(f"mkdir -p {twin} && cp -r {' '.join(map(quote, sources))} {twin}/")

    def fetch(self, source: str, target: PurePosixPath) -> Deed:
        """Copy one file."""
        return _shell(f"cp {quote(source)} {quote(str(target))} && chmod u+rw {quote(str(target))}")

    def run(self, script: str) -> Deed:
        """Run it in the shell."""
        return _shell(script)

    def start(self, command: str, directory: PurePosixPath, log: str) -> Deed:
        """Start a process."""
        text = f"cd {quote(str(directory))} && exec {command}"
        return Deed("start_process", {"command": text, "log": log})

    def ask(self, port: int, path: str, body: str) -> Deed:
        """Send a request."""
        url = f"http://127.0.0.1:{port}{path}"
        return Deed("http_request", {"method": "POST", "url": url, "body": body})

    def log(self, path: str) -> Deed:
        """Read the file."""
        return Deed("read_file", {"path": path})


class There:
    """On the other machine of the lab, where the key in ~/.ssh lets one in."""

    def __init__(self, machine: str) -> None:
        self._ssh = f"{SSH} {quote(machine)}"

    def ports(self) -> Deed:
        """List the ports in use there."""
        return self.run(LISTENING)

    def bring(self, sources: Sequence[str], directory: PurePosixPath) -> Deed:
        """Gather files here, and send them over."""
        return self._send(f"cp -r {' '.join(map(quote, sources))} $stage/", directory)

    def fetch(self, source: str, target: PurePosixPath) -> Deed:
        """Send one file over."""
        gathered = f'cp {quote(source)} $stage/{quote(target.name)} && chmod u+rw "$stage"/*'
        return self._send(gathered, target.parent)

    def _send(self, gather: str, directory: PurePosixPath) -> Deed:
        twin = quote(str(directory))
        unpack = quote(f"mkdir -p {twin} && tar -xf - -C {twin}")
        return _shell(
            f"stage=$(mktemp -d) && {{ {gather}; status=$?; }}\n"
            f"tar -C $stage -cf - . | {self._ssh} {unpack}; sent=$?\n"
            "rm -rf $stage; exit $((status ? status : sent))"
        )

    def run(self, script: str) -> Deed:
        """Run it there."""
        return _shell(f"{self._ssh} {quote('bash -c ' + quote(script))}")

    def start(self, command: str, directory: PurePosixPath, log: str) -> Deed:
        """Start a program there."""
        said = quote(log)
        return self.run(STARTED % (quote(str(directory)), command, said, said))

    def ask(self, port: int, path: str, body: str) -> Deed:
        """Send a request from there."""
        return self.run(ASKED % (quote(body), port, path))

    def log(self, path: str) -> Deed:
        """Read the end of the file there."""
        return self.run(f"tail -n 50 {quote(path)}")
