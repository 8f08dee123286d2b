"""The attendant inside a machine: takes framed requests from a wire, runs them, answers.

It is one process and one thread: commands are children whose output it collects, everything else that could
take long is done by a forked child.

A frame is two big-endian 32-bit lengths, a JSON object and a payload. A request has an `id`, says what to
`do` and names in `settled` the requests whose answers arrived; an answer is kept until then. So when a wire
breaks, the next one is sent the open requests again, and each is still carried out once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import selectors
import signal
import subprocess
import time

from environments.attendant.far.jobs import LENGTHS, Command, Errand, Output, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from environments.attendant.far.jobs import Job

__all__ = ["Attendant", "Client"]

MOST_PAYLOAD = 64 << 20
AFTER_KILL_S = 5.0


class Client:
    """The far end of the current wire: two descriptors and what is on its way through them."""

    def __init__(self, read: int, write: int, *, shared: bool) -> None:
        self.read, self.write, self.shared = read, write, shared
        self.incoming = bytearray()
        self.outgoing = bytearray()
        os.set_blocking(read, False)
        os.set_blocking(write, False)

    def receive(self) -> bool:
        """Take what has come; False when the wire has ended."""
        try:
            data = os.read(self.read, 1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.incoming += data
        return bool(data)

    def requests(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return the frames that are complete."""
        found = []
        while len(self.incoming) >= LENGTHS.size:
            text, payload = LENGTHS.unpack_from(self.incoming)
            end = LENGTHS.size + text + payload
            if len(self.incoming) < end:
                break
            fields = json.loads(self.incoming[LENGTHS.size : LENGTHS.size + text])
            found.append((fields, bytes(self.incoming[LENGTHS.size + text : end])))
            del self.incoming[:end]
        return found

    def flush(self) -> bool:
        """Hand on what can be handed on; False when the wire has ended."""
        try:
            while self.outgoing:
                sent = os.write(self.write, self.outgoing[: 1 << 18])
                del self.outgoing[:sent]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


class Attendant:
    """The loop."""

    def __init__(self, verbs: Mapping[str, Callable[..., Any]], settings: Mapping[str, Any]) -> None:
        self.verbs = verbs
        self.linger_s = float(settings["linger_s"])
        self.relay = 0
        self.jobs: dict[int, Job] = {}
        self.answers: dict[int, bytes] = {}
        self.client: Client | None = None
        self.alone_since = time.monotonic()
        self.frozen = False
        self.selector = selectors.DefaultSelector()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SSH_")}
        for name, most in settings.get("rlimits", {}).items():
            limit = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(limit)
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (bound, bound))
        woken, wake = os.pipe()
        for fd in (woken, wake):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.selector.register(woken, selectors.EVENT_READ, lambda: os.read(woken, 4096))

    def listen(self, fd: int, accept: Callable[[], None]) -> None:
        """Take new wires from a listening socket."""
        self.selector.register(fd, selectors.EVENT_READ, accept)

    def attach(self, client: Client, relay: int = 0) -> None:
        """Serve this wire from now on, and no longer the one before."""
        self.detach()
        self.client, self.relay = client, relay
        self.selector.register(client.read, selectors.EVENT_READ, self.hear)

    def detach(self) -> None:
        """The wire has ended: what runs goes on, for a while."""
        if self.client is None:
            return
        self.selector.unregister(self.client.read)
        if self.client.shared:
            os.close(self.client.read)
        self.client = None
        self.alone_since = time.monotonic()

    def hear(self) -> None:
        client = self.client
        if client is None:
            return
        well = client.receive()
        for fields, payload in client.requests():
            self.take_up(fields, payload)
        if not well and self.client is client:
            self.detach()

    def take_up(self, fields: dict[str, Any], payload: bytes) -> None:
        """Begin a request, unless it was begun over an earlier wire."""
        for number in fields.pop("settled", ()):
            self.answers.pop(number, None)
        number, what = fields.pop("id", 0), fields.pop("do")
        if what == "leave":
            self.leave()
        elif what == "kill":
            self.cancel(fields["target"])
        elif number in self.answers:
            self.say(self.answers[number])
        elif number in self.jobs:
            pass
        elif what == "hello":
            self.reply(number, self.hello())
        elif what == "freeze":
            self.freeze()
            self.reply(number, {})
        elif what == "exec":
            self.start(number, fields, payload)
        else:
            self.send_out(number, what, fields, payload)

    def hello(self) -> dict[str, Any]:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        home = self.environment.get("HOME") or os.path.expanduser("~")
        return {
            "uid": os.getuid(),
            "user": self.environment.get("USER") or self.environment.get("LOGNAME") or "",
            "home": home,
            "boot_id": boot,
            "pid": os.getpid(),
            "pids": [os.getpid()] + ([self.relay] if self.relay else []),
            "ssh": os.environ.get("SSH_CONNECTION", ""),
        }

    def freeze(self) -> None:
        """Start no command from now on, and end those that run."""
        self.frozen = True
        for job in self.jobs.values():
            job.kill()

    def start(self, number: int, fields: Mapping[str, Any], payload: bytes) -> None:
        """Start a command. One that cannot be started has failed, as a shell would say it."""
        if self.frozen:
            self.reply(number, {"closed": True})
            return
        try:
            child = subprocess.Popen(
                fields["argv"],
                stdin=subprocess.PIPE if payload else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=fields.get("cwd") or self.environment.get("HOME"),
                env=fields.get("env") or self.environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            missing = error.errno == errno.ENOENT and error.filename == fields["argv"][0]
            text = f"{error.filename}: {error.strerror}\n".encode()
            refused = {"status": 127 if missing else 126, "timed_out": False, "dropped": 0}
            self.reply(number, {**refused, "seconds": 0.0, "stdout": 0}, text)
            return
        assert child.stdout is not None
        assert child.stderr is not None
        # The descriptors outlive the Popen object, which is not needed any more: children are reaped below.
        outputs = [Output(os.dup(pipe.fileno()), fields["most"]) for pipe in (child.stdout, child.stderr)]
        job = Command(number, child.pid, outputs, time.monotonic() + fields["timeout_s"])
        if child.stdin is not None:
            job.stdin, job.unsent = os.dup(child.stdin.fileno()), memoryview(payload)
            os.set_blocking(job.stdin, False)
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        child.returncode = 0
        self.watch(job)

    def send_out(self, number: int, what: str, fields: dict[str, Any], payload: bytes) -> None:
        """Have a forked child carry out a verb."""
        read, write = os.pipe()
        deadline = time.monotonic() + fields.pop("timeout_s", 60.0)
        try:
            pid = os.fork()
        except OSError as error:  # the machine's user has used up its processes
            os.close(read)
            os.close(write)
            self.reply(number, {"errno": error.errno, "error": error.strerror})
            return
        if pid == 0:
            self.carry_out(write, what, fields, payload)
        os.close(write)
        with contextlib.suppress(OSError):  # it was quicker, or is gone
            os.setpgid(pid, pid)
        self.watch(Errand(number, pid, [Output(read, MOST_PAYLOAD)], deadline))

    def carry_out(self, write: int, what: str, fields: dict[str, Any], payload: bytes) -> None:
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                known, data = self.verbs[what](payload, **fields)
            except OSError as error:
                known = {"errno": error.errno or errno.EIO, "error": error.strerror or str(error)}
                data = b""
            whole = memoryview(frame(known, data))
            while whole:
                whole = whole[os.write(write, whole) :]
            status = 0
        finally:
            os._exit(status)

    def watch(self, job: Job) -> None:
        self.jobs[job.number] = job
        for output in job.outputs:
            self.selector.register(output.fd, selectors.EVENT_READ, lambda o=output: self.collect(o))
        if job.stdin >= 0:
            self.selector.register(job.stdin, selectors.EVENT_WRITE, lambda: self.feed(job))

    def collect(self, output: Output) -> None:
        if not output.drain():
            self.selector.unregister(output.fd)
            os.close(output.fd)
            output.fd = -1

    def feed(self, job: Job) -> None:
        try:
            while job.unsent:
                job.unsent = job.unsent[os.write(job.stdin, job.unsent) :]
        except BlockingIOError:
            return
        except OSError:  # it does not read its input
            pass
        self.starve(job)

    def starve(self, job: Job) -> None:
        if job.stdin >= 0:
            self.selector.unregister(job.stdin)
            os.close(job.stdin)
            job.stdin = -1

    def cancel(self, number: int) -> None:
        job = self.jobs.get(number)
        if job is not None:
            job.asked = False
            job.kill()

    def reap(self) -> None:
        """Answer for the children that have ended, and end those whose time is up."""
        now = time.monotonic()
        for job in list(self.jobs.values()):
            pid, status = os.waitpid(job.pid, os.WNOHANG)
            if pid:
                signalled = os.WIFSIGNALED(status)
                job.status = 128 + os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
            elif now > job.deadline and not job.timed_out:
                job.timed_out = True
                job.kill()
            if job.status is not None or now > job.deadline + AFTER_KILL_S:
                self.finish(job)

    def finish(self, job: Job) -> None:
        del self.jobs[job.number]
        self.starve(job)
        for output in job.outputs:
            if output.fd >= 0:
                self.collect(output)
        fields, payload = job.answer()
        if job.asked:
            self.reply(job.number, fields, payload)

    def reply(self, number: int, fields: Mapping[str, Any], payload: bytes = b"") -> None:
        whole = frame({"id": number, **fields}, payload)
        if number:
            self.answers[number] = whole
        self.say(whole)

    def say(self, whole: bytes) -> None:
        if self.client is not None:
            self.client.outgoing += whole

    def flush(self) -> None:
        client = self.client
        if client is None:
            return
        if not client.flush():
            self.detach()
            return
        # Told apart by descriptor: a socket is read and written through one, a pair of pipes through two.
        wanted = selectors.EVENT_WRITE if client.outgoing else 0
        if client.write == client.read:
            self.selector.modify(client.read, selectors.EVENT_READ | wanted, self.hear)
        elif wanted and client.write not in self.selector.get_map():
            self.selector.register(client.write, selectors.EVENT_WRITE, lambda: None)
        elif not wanted and client.write in self.selector.get_map():
            self.selector.unregister(client.write)

    def run(self, again: Callable[[], bool]) -> None:
        """Serve until told to leave, or left alone for too long. `again` is asked when there is no wire."""
        while True:
            nearest = min((job.deadline for job in self.jobs.values()), default=None)
            wait = 1.0 if nearest is None else min(1.0, max(0.0, nearest - time.monotonic()))
            for key, _ in self.selector.select(wait):
                key.data()
            self.reap()
            self.flush()
            if self.client is None and (time.monotonic() - self.alone_since > self.linger_s or not again()):
                self.leave()

    def leave(self) -> None:
        """End what runs, and go."""
        for job in self.jobs.values():
            job.kill()
        os._exit(0)
