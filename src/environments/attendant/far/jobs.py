"""Children of the attendant: commands it runs for the agent, and errands it sends a fork of itself on."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import time

TYPE_CHECKING = False  # typing itself is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["LENGTHS", "Command", "Errand", "Job", "Output", "frame"]

LENGTHS = struct.Struct(">II")


class Output:
    """What a child prints on one descriptor: kept up to a limit, head and tail, the rest counted."""

    def __init__(self, fd: int, most: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.head = bytearray()
        self.tail = bytearray()
        self.size = 0
        self._half = most // 2
        self._most = most
        self.kept = True

    def drain(self) -> bool:
        """Take what is there; False at the end."""
        while True:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            if self.kept:
                self._keep(data)

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        room = self._half - len(self.head)
        self.head += data[:room]
        self.tail += data[max(room, 0) :]
        most = self._most - self._half
        if len(self.tail) > 2 * most + (1 << 16):
            del self.tail[:-most]

    def take(self) -> bytes:
        """Return what was kept, and keep nothing from now on: what still writes is merely not blocked."""
        self.kept = False
        most = self._most - self._half
        whole = bytes(self.head) + bytes(self.tail[-most:] if most else b"")
        self.head = self.tail = bytearray()
        return whole

    @property
    def dropped(self) -> int:
        return max(0, self.size - self._most)


class Job:
    """A request that a child carries out."""

    def __init__(self, number: int, pid: int, outputs: list[Output], deadline: float) -> None:
        self.number = number
        self.pid = pid
        self.outputs = outputs
        self.deadline = deadline
        self.started = time.monotonic()
        self.timed_out = False
        self.stdin = -1
        self.unsent = memoryview(b"")
        self.status: int | None = None
        self.asked = True

    def kill(self) -> None:
        """End the child and everything of its process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:  # all that is left of the group belongs to somebody else
            pass

    def answer(self) -> tuple[dict[str, Any], bytes]:
        raise NotImplementedError


class Command(Job):
    """A command of the machine's user."""

    def answer(self) -> tuple[dict[str, Any], bytes]:
        out, err = self.outputs
        fields = {
            "status": self.status if self.status is not None else 128 + signal.SIGKILL,
            "timed_out": self.timed_out,
            "dropped": out.dropped + err.dropped,
            "seconds": time.monotonic() - self.started,
        }
        kept = out.take()
        fields["stdout"] = len(kept)
        return fields, kept + err.take()


class Errand(Job):
    """A verb, carried out by a forked child that prints its answer as a frame."""

    def answer(self) -> tuple[dict[str, Any], bytes]:
        whole = self.outputs[0].take()
        if self.timed_out or len(whole) < LENGTHS.size:
            text = "it ran out of time" if self.timed_out else "the attendant's child was killed"
            return {"errno": errno.EIO, "error": text}, b""
        size = LENGTHS.unpack_from(whole)[0]
        fields = json.loads(whole[LENGTHS.size : LENGTHS.size + size])
        return fields, whole[LENGTHS.size + size :]


def frame(fields: Mapping[str, Any], payload: bytes = b"") -> bytes:
    text = json.dumps(fields).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload
