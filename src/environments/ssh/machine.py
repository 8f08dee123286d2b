"""One host from the first login to the proof that nothing is left on it."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING

from environments.attendant import BOOT_COMMAND, Attendant, AttendedControl, AttendedEnvironment
from environments.containment.fencing import processor_seconds
from environments.endings import to_the_end
from environments.errors import Broken, Leaked, LinkLost, Rebooted, Unavailable
from environments.loopbacks import TELL_LOOPBACK, sharing
from environments.ssh.closure import certify
from environments.ssh.errand import send_on_errand
from environments.ssh.gate import SshGate
from environments.ssh.link import Link
from environments.ssh.renewal import Renewal
from environments.types import Lease
from environments.warden import hold

if TYPE_CHECKING:
    from environments.ssh.address import SshHost, SshMachine
    from environments.types import Limits
    from environments.warden import Held

__all__ = ["Stay"]

_LINGER_S = 60.0
_OWN_PROCESSES = 8
"""Of the agent's user, but not of the agent: sshd's half that runs as it, and the attendant's own."""
_KEPT = "/var/lib/redline"
_MOST_KEPT_BYTES = 1 << 30
_MOST_FETCHED_BYTES = 48 << 20


class Stay:
    """One trial's stay on a host.

    Args:
        machine: the host.
        label: names the trial in messages.
        limits: fences of the agent's user.
        name: of the provider.
    """

    def __init__(self, machine: SshMachine, *, label: str, limits: Limits, name: str) -> None:
        self._machine = machine
        self._label = label
        self._limits = limits
        self._name = name
        self._agent_link: Link | None = None
        self._control_link: Link | None = None
        self._attendants: list[Attendant] = []
        self._held: Held | None = None
        self._renewal: Renewal | None = None
        self._user = ""
        self._there = ExitStack()
        self._word = secrets.token_hex(16)
        self._archive: bytes | None = None
        self.dirty: str | None = None
        """Why the host is not to be used again, if so."""

    async def begin(self) -> Lease:
        """Log in and see that the agent has the host to itself.

        Raises:
            Unavailable: it cannot be had; the message says why.
        """
        try:
            return await self._begin()
        except (LinkLost, Rebooted) as fault:
            raise Unavailable(str(fault), mend="check that the host stays up") from fault
        except Broken as fault:
            raise Unavailable(fault.reason, mend="mend that on the host") from fault

    async def _begin(self) -> Lease:
        self._held = hold(self._label, lifetime_s=self._limits.lifetime_s)
        agent_login, control_login = self._machine.agent, self._machine.control
        if control_login is None:
            link = self._agent_link = await _opened(agent_login)
            self._user = link.user
            await self._survey(link)
            kept = await send_on_errand(link, "pack", user=self._user, most=_MOST_FETCHED_BYTES)
            self._archive, self.dirty = kept.payload, f"{self._machine.name} was not cleaned"
        else:
            link = self._control_link = await _opened(control_login)
            self._user = agent_login.user or await _user_of(agent_login)
            await self._survey(link)
            self.dirty = f"{self._machine.name} was not cleaned"
            await to_the_end(
                send_on_errand(link, "keep", user=self._user, most=_MOST_KEPT_BYTES, word=self._word)
            )
            control = await self._attend(link, keep=False)
            self._renewal = Renewal(
                link, control, user=self._user, word=self._word, held=self._held, limits=self._limits
            )
            await self._renewal.start()
            self._agent_link = await _opened(agent_login)
            return await self._lease(control)
        return await self._lease(await self._attend(link, keep=False))

    async def _lease(self, control: Attendant) -> Lease:
        assert self._agent_link is not None
        attendant = await self._attend(self._agent_link, keep=True)
        if attendant.hello.user != self._user:
            raise Unavailable(
                f"{self._agent_link.place}: {self._user} becomes {attendant.hello.user} on the host",
                mend="let the agent log in as a user of its own",
            )
        await self._come_to(control)
        certificate, closure = await certify(
            name=self._name,
            agent=attendant,
            agent_link=self._agent_link,
            control_link=self._control_link,
            limits=self._limits,
        )
        agent = AttendedEnvironment(attendant, name=self._name, limits=self._limits)
        judge = AttendedControl(control, agent=agent, user=self._user, grade=certificate.grade)
        gate = SshGate(self._machine.agent, judge)
        return Lease(agent=agent, control=judge, certificate=certificate, closure=closure, gate=gate)

    async def _come_to(self, control: Attendant) -> None:
        """See that no program of the study's own is within the agent's reach, nor comes there later.

        Raises:
            Unavailable: there is one.
        """
        told = await control.ask("exec", argv=TELL_LOOPBACK, timeout_s=20.0, most=1 << 12, cwd="/")
        loopback = told.payload[: told.fields["stdout"]].decode()
        self._there.enter_context(sharing(loopback, "an agent", place=self._machine.name))

    async def _attend(self, link: Link, *, keep: bool) -> Attendant:
        most = self._limits
        rlimits = {
            "AS": most.memory_bytes,
            "NPROC": most.processes + _OWN_PROCESSES,
            "NOFILE": most.open_files,
            "FSIZE": most.disk_bytes,
            "CPU": processor_seconds(most),
            "CORE": 0,
        }
        attendant = Attendant(
            lambda: link.wire(BOOT_COMMAND),
            address=link.place,
            keep=secrets.token_hex(16) if keep else "",
            linger_s=_LINGER_S if keep else 0.0,
            rlimits=rlimits if keep else None,
        )
        self._attendants.append(attendant)
        await attendant.start()
        return attendant

    async def _survey(self, link: Link) -> None:
        """See that the user can be had and has nothing running.

        Raises:
            Unavailable: otherwise.
        """
        found = (await send_on_errand(link, "survey", user=self._user)).fields
        if reason := found.get("objection"):
            raise Unavailable(f"{link.place}: {reason}", mend="let the agent log in as a user of its own")
        if link is self._control_link and not found["root"]:
            raise Unavailable(
                f"{link.place}: the control user {link.user} is not root",
                mend="set control_user to root, or leave control_user and control_identity out",
            )
        if left := found["left"]:
            raise Unavailable(
                f"{link.place}: an earlier run left {_few(left)}", mend=f"remove it and {_KEPT} on the host"
            )
        if running := found["running"]:
            raise Unavailable(
                f"{link.place}: {self._user} has {_few(running)} running already",
                mend=f"end it on the host: `pkill -KILL -u {self._user}`",
            )

    async def end(self) -> None:
        """End everything, put the host back as it was, look again; however often this is cancelled.

        Raises:
            Leaked: the host is not as it was.
            Broken: that could not be found out.
        """
        await to_the_end(self._end())

    async def _end(self) -> None:
        try:
            if self._renewal is not None:
                await self._renewal.stop()
            for attendant in reversed(self._attendants):
                await attendant.aclose()
            if self.dirty is not None:
                await self._clean()
                self.dirty = None
        finally:
            self._there.close()
            for link in (self._agent_link, self._control_link):
                if link is not None:
                    await link.aclose()
            if self._held is not None:
                await self._held.release()

    async def _clean(self) -> None:
        if self._control_link is not None:
            if self._agent_link is not None:
                await self._agent_link.aclose()
            found = await send_on_errand(self._control_link, "clean", user=self._user, word=self._word)
        else:
            assert self._agent_link is not None
            assert self._archive is not None
            found = await send_on_errand(
                self._agent_link, "unpack", stdin=self._archive, user=self._user, size=len(self._archive)
            )
        if left := found.fields["left"]:
            self.dirty = f"left on {self._machine.name}: {_few(left)}"
            raise Leaked(self._label, [f"{each} on {self._machine.name}" for each in left[:20]])


async def _opened(login: SshHost) -> Link:
    link = Link(login)
    await link.open()
    return link


async def _user_of(login: SshHost) -> str:
    """Return whom the host takes a login without a user for."""
    link = await _opened(login)
    try:
        return link.user
    finally:
        await link.aclose()


def _few(found: list[str]) -> str:
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
