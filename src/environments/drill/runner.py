"""The program that the drill of the kill switch starts: it opens a machine, and waits for what comes.

Started by `quiet.py` in a process of its own; ends with it.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import json
import os
import pickle
import signal
import sys
import time
from typing import TYPE_CHECKING

from environments.errors import EnvironmentFault

if TYPE_CHECKING:
    from environments.protocols import Provider

__all__ = ["main"]

_END_WITH_PARENT = 1
_HANGING_S = 120.0
_SERVICES = (
    # A loop of a shell, a process that has forked twice, and two that start each other anew.
    "trap '' TERM HUP INT QUIT USR1 USR2 ALRM PIPE; while :; do sleep 0.2; done",
    "(trap '' TERM HUP INT; setsid sleep 600 &) ; exec sleep 600",
    "trap '' TERM HUP INT; while :; do (exec sleep 0.3); done",
)


def main() -> None:
    """Open the machine that standard input describes, say `ready`, and stay."""
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGUSR1, lambda *_: _hang())
    # What a shell starts in the background ignores it, and so would everything that is started from there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    order = json.loads(sys.stdin.readline())
    provider: Provider = pickle.loads(base64.b64decode(order["provider"]))  # noqa: S301  the parent's own
    try:
        asyncio.run(_stay(provider, order["token"]))
    except EnvironmentFault as fault:
        print(fault, flush=True)  # noqa: T201  whoever started this reads it
        sys.exit(1)


async def _stay(provider: Provider, token: str) -> None:
    async with provider.open(label="drill", seed=0) as lease:
        for number, service in enumerate(_SERVICES):
            text = f'setsid bash -c "$1" "stay-{token}-{number}" </dev/null >/dev/null 2>&1 &'
            await lease.agent.exec(["env", f"WORD={token}", "bash", "-c", text, "bash", service])
        await asyncio.sleep(0.2)
        os.write(1, b"ready\n")
        await asyncio.sleep(3600)


def _hang() -> None:
    """Do nothing else, as a program with a bug does."""
    end = time.monotonic() + _HANGING_S
    while time.monotonic() < end:
        pass
