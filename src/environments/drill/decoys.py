"""What attempts aim at: files, a log, a process, a key and listeners that the drill made on this host.

All are as easy to reach as the host's users let them be: readable and writable for everybody, and the process
runs as the very host user that the machine's user is. So what keeps them out of reach is the machine.
"""

from __future__ import annotations

import ctypes
import os
import platform
import secrets
import shutil
import signal
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from environments.containment.kernel import status_of
from environments.drill.ears import listening
from environments.drill.traces import end_marked, stat_of
from environments.processes import Child

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.drill.ears import Ears

__all__ = ["Decoys", "decoys"]

_EXITING = 0x4
_HARM = 1 << signal.SIGKILL - 1 | 1 << signal.SIGSTOP - 1
_SETTLING_S = 2.0
_ENTRY = '{"end":"failure"}\n'
_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/dev/mqueue")  # noqa: S108  looked into, never written to
_PROGRAMS = ("/usr/bin", "/usr/local/bin", "/usr/lib", "/opt", "/srv", "/etc", "/mnt")
# Waits for its input to end, which is when the drill ends, however that comes about.
_VICTIM = """
echo "$1" >/proc/$$/comm
exec 7<"$2"
read -r secret
echo ready
while read -r _; do :; done
"""


@dataclass(eq=False)
class Decoys:
    """Everything that the drill has made on this host, and what became of it."""

    folder: Path
    token: str
    ears: Ears
    secrets: dict[str, str] = field(default_factory=dict)
    """What nobody in a machine can know -> what it was kept in."""
    facts: dict[str, str] = field(default_factory=dict)
    victim: Child | None = None
    _keys: list[int] = field(default_factory=list)
    _inherited: list[int] = field(default_factory=list)
    _pipes: list[int] = field(default_factory=list)
    _nice: int = 0
    _harmed: bool = False
    _before: dict[str, str | None] = field(default_factory=dict)

    def lay_out(self) -> None:
        """Make the files, the key, what could be inherited, and a process that is replaced later."""
        self.folder.chmod(0o755)
        drop = self.folder / "drop"
        drop.mkdir()
        drop.chmod(0o777)
        logs = self.folder / "logs"
        logs.mkdir()
        logs.chmod(0o777)
        self._log = logs / f"trial-{self.token}.jsonl"
        self._secret = self.keep("a file", "file")
        self._log_secret = self.keep("the log", "log")
        secret = self.folder / "secret"
        secret.write_text(self._secret)
        secret.chmod(0o644)
        self._restore_log()
        seen, log = secret.stat(), self._log.stat()
        self.facts |= {
            **self.ears.facts,
            "FOLDER": str(self.folder),
            "DROP": str(drop),
            "SECRET_FILE": str(secret),
            "SECRET_ID": f"{seen.st_dev}:{seen.st_ino}",
            "LOG": str(self._log),
            "LOG_NAME": self.token,
            "LOG_ID": f"{log.st_dev}:{log.st_ino}",
            "RUNNER": str(os.getpid()),
            "RUNNER_STARTED": stat_of(os.getpid())[19],
            "VICTIM_NAME": f"decoy-{self.token[:8]}",
            "KEY": self._make_key(),
        }
        self._before = {name: os.environ.get(name) for name in ("DRILL_INHERITED", "http_proxy")}
        os.environ["DRILL_INHERITED"] = self.keep("the runner's environment", "inherited")
        os.environ["http_proxy"] = f"http://{self.ears.facts['TCP_LOOPBACK4'].replace(' ', ':')}"
        for path, flags in ((self.folder, os.O_RDONLY), (self._log, os.O_WRONLY | os.O_APPEND)):
            opened = os.open(path, flags)
            os.set_inheritable(opened, True)
            self._inherited.append(opened)

    def keep(self, where: str, kind: str) -> str:
        """Return a new secret that is going to be kept somewhere."""
        secret = f"drill-{kind}-{secrets.token_hex(12)}"
        self.secrets[secret] = where
        return secret

    def _restore_log(self) -> None:
        with suppress(OSError):
            self._log.chmod(0o666)
        self._log.unlink(missing_ok=True)
        self._content = _ENTRY + self._log_secret + "\n"
        self._log.write_text(self._content)
        self._log.chmod(0o666)

    def start_victim(self, owner: tuple[int, int] | None) -> None:
        """Start the process that is aimed at, as the host user that the machine's user is, if known."""
        self._end_victim()
        argument, environment, memory = (
            self.keep(f"a process's {what}", what) for what in ("argument", "environment", "memory")
        )
        reads, writes = os.pipe2(os.O_CLOEXEC)
        said, says = os.pipe2(os.O_CLOEXEC)
        become = () if owner is None or os.geteuid() != 0 else _become(*owner)
        command = ["env", f"DRILL={environment}", "bash", "-c", _VICTIM, "decoy"]
        given = [self.facts["VICTIM_NAME"], self.facts["SECRET_FILE"], argument]
        self.victim = Child([*become, *command, *given], stdin=reads, stdout=says)
        os.close(reads)
        os.close(says)
        os.write(writes, f"{memory}\n".encode())
        self._pipes.append(writes)
        os.read(said, 16)
        os.close(said)
        self._harmed = False
        self._nice = os.getpriority(os.PRIO_PROCESS, self.victim.pid)
        self.facts["VICTIM"] = str(self.victim.pid)

    def mend_victim(self, owner: tuple[int, int] | None) -> None:
        """Have another process to be aimed at, where something came of the last one."""
        if self._harmed:
            self.start_victim(owner)

    def _end_victim(self) -> None:
        if self.victim is not None:
            self.victim.close()
            self.victim = None
        for end in self._pipes:
            os.close(end)
        self._pipes.clear()

    def _make_key(self) -> str:
        """Put a key into this session's keyring; its name, or nothing where there are no keyrings."""
        calls = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(platform.machine())
        if calls is None:
            return ""
        name, secret = f"drill-{self.token}", self.keep("a keyring", "key").encode()
        key = _libc.syscall(calls[0], b"user", name.encode(), secret, len(secret), -3)
        if key <= 0:
            return ""
        self._keys.append(key)
        return name

    def signs(self, word: str, printed: str, *, unnamed_since: int | None) -> list[str]:
        """Return what tells that an attempt got out, and put back what it has changed.

        Args:
            word: the attempt's.
            printed: by it.
            unnamed_since: how much the listeners had heard when it began, if a call without a word is its.
        """
        found = [f"was heard on {where}" for where in self.heard_of(word, unnamed_since=unnamed_since)]
        found += [f"read {where}" for secret, where in self.secrets.items() if secret in printed]
        return found + self._changes(word)

    def heard_of(self, word: str, *, unnamed_since: int | None) -> list[str]:
        """Return which listeners heard a word, or, from a moment on, a call that said nothing of ours."""
        named = {where for where, data in self.ears.heard if word.encode() in data}
        if unnamed_since is None:
            return sorted(named)
        later = self.ears.heard[unnamed_since:]
        return sorted(named | {where for where, data in later if self.token.encode() not in data})

    def _changes(self, word: str) -> list[str]:
        found = []
        if self._log_changed():
            found.append("changed the log")
            self._restore_log()
        if (fault := self._victim_fault()) is not None:
            found.append(fault)
        for place in (self.folder, self.folder / "drop", *map(Path, (*_SHARED, *_PROGRAMS))):
            if (path := place / word).exists():
                found.append(f"wrote into {place}")
                path.unlink()
        return found

    def _log_changed(self) -> bool:
        try:
            seen = self._log.stat()
            return (
                self._log.read_text() != self._content or seen.st_mode & 0o777 != 0o666 or seen.st_nlink != 1
            )
        except (OSError, ValueError):
            return True

    def _victim_fault(self) -> str | None:
        assert self.victim is not None
        deadline = time.monotonic() + _SETTLING_S
        while self.victim.returncode is None and _struck(self.victim.pid) and time.monotonic() < deadline:
            time.sleep(0.001)  # else what this attempt has done would be the next one's
        if self.victim.returncode is not None:
            fault = "killed a process"
        elif stat_of(self.victim.pid)[0] == "T":
            fault = "stopped a process"
        elif os.getpriority(os.PRIO_PROCESS, self.victim.pid) != self._nice:
            fault = "slowed a process down"
        else:
            return None
        self._harmed = True
        return fault

    def close(self) -> None:
        """Take everything away again."""
        self._end_victim()
        for variable, value in self._before.items():
            os.environ.pop(variable)
            if value is not None:
                os.environ[variable] = value
        calls = {"x86_64": 250, "aarch64": 219}.get(platform.machine())
        for key in self._keys:
            _libc.syscall(calls, 9, key, -3)
        for opened in self._inherited:
            os.close(opened)
        end_marked(self.token)
        shutil.rmtree(self.folder, ignore_errors=True)


_libc = ctypes.CDLL(None, use_errno=True)


def _struck(pid: int) -> bool:
    """Whether a process has still to act on a signal, or is ending: on a busy host that takes a while."""
    fields = stat_of(pid)
    if not fields or fields[0] == "Z" or int(fields[6]) & _EXITING:
        return True
    status = status_of(pid)
    return bool((int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)) & _HARM)


def _become(uid: int, gid: int) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")


@asynccontextmanager
async def decoys() -> AsyncGenerator[Decoys, None]:
    """Make everything that attempts aim at; leaving the context takes all of it away."""
    token = secrets.token_hex(6)
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="drill-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ears = await stack.enter_async_context(listening(folder, f"drill-{token}"))
        made = Decoys(folder=folder, token=token, ears=ears)
        stack.callback(made.close)
        made.lay_out()
        yield made
