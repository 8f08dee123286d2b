"""Fifty times a runner is killed or stopped at a random moment: soon all is quiet, and nothing is left."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_S = 2.0
TIMES = 50
AT_ONCE = 5
PROGRAM = Path(__file__).with_name("churning_runner.py")


def marked(token: str) -> dict[int, str]:
    """Living processes of this host with `token` among their arguments, and their control groups."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                if token.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                    found[int(name)] = Path(f"/proc/{name}/cgroup").read_text()
    return found


@dataclass(kw_only=True)
class Doomed:
    """A runner to which something will happen."""

    place: Path
    event: signal.Signals
    token: str = field(default_factory=lambda: f"churn-{secrets.token_hex(8)}")
    groups: set[Path] = field(default_factory=set)
    at: float = 0.0
    quiet_s: float = 0.0

    def begin(self) -> None:
        for name in ("tmp", "run"):
            (self.place / name).mkdir(parents=True)
        self.place.chmod(0o755)
        (self.place / "run").chmod(0o700)
        (self.place / "tmp").chmod(0o755)
        places = {"TMPDIR": str(self.place / "tmp"), "XDG_RUNTIME_DIR": str(self.place / "run")}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), self.token],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **places, "REDLINE_LEASE_S": str(LEASE_S)},
        )

    def happen(self) -> None:
        for cgroup in [text for pid, text in marked(self.token).items() if pid != self.process.pid]:
            for line in cgroup.splitlines():
                _, controllers, path = line.split(":", 2)
                if "/redline/" in path:
                    self.groups.add(Path("/sys/fs/cgroup", controllers, path.lstrip("/")))
        os.kill(self.process.pid, self.event)
        self.at = time.monotonic()

    def bury(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def left(self) -> list[str]:
        """What there still is: folders, the warden's card, control groups, mounts."""
        mounts = Path("/proc/self/mountinfo").read_text()
        found = [str(path) for path in (self.place / "tmp").iterdir()]
        found += [str(path) for path in (self.place / "run" / "redline").glob("*")]
        found += [str(group) for group in self.groups if group.exists()]
        return found + ([f"a mount below {self.place}"] if str(self.place) in mounts else [])

    def await_nothing_left(self) -> None:
        for _ in range(200):
            if not self.left():
                return
            time.sleep(0.05)
        pytest.fail(f"left behind: {self.left()}")


def await_quiet(doomed: list[Doomed]) -> Iterator[Doomed]:
    """Yield each when its last process is gone, the runner itself left out."""
    left = list(doomed)
    while left:
        for each in [one for one in left if not marked(one.token).keys() - {one.process.pid}]:
            each.quiet_s = time.monotonic() - each.at
            left.remove(each)
            yield each
        if left and time.monotonic() - left[0].at > LEASE_S + 30:
            pytest.fail(f"still running: {marked(left[0].token)}")
        time.sleep(0.02)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that also users who own nothing can pass through."""
    with tempfile.TemporaryDirectory(prefix="doomed-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_whenever_its_runner_is_gone_a_machine_is_quiet_and_nothing_is_left(place: Path) -> None:
    random_ = random.Random(20260101)  # noqa: S311
    seconds: dict[signal.Signals, list[float]] = {signal.SIGKILL: [], signal.SIGSTOP: []}
    for batch in range(0, TIMES, AT_ONCE):
        events = [list(seconds)[number % 2] for number in range(batch, batch + AT_ONCE)]
        doomed = [Doomed(place=place / f"{batch + n}", event=event) for n, event in enumerate(events)]
        for each in doomed:
            each.begin()
        for each in doomed:
            assert each.process.stdout is not None
            assert each.process.stdout.readline() == "running\n"
        time.sleep(random_.uniform(0.0, 0.8))
        for each in doomed:
            each.happen()
        for each in await_quiet(doomed):
            seconds[each.event].append(each.quiet_s)
        for each in doomed:
            each.bury()
        for each in doomed:
            each.await_nothing_left()
    assert [took for took in seconds[signal.SIGKILL] if took > 2] == []
    assert [took for took in seconds[signal.SIGSTOP] if took > LEASE_S + 2] == []
    assert sum(map(len, seconds.values())) == TIMES
