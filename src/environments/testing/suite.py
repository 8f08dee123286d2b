"""Runs the checks and reports on each."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from environments.testing.commands import COMMANDS
from environments.testing.control import CONTROL, LAUNCH
from environments.testing.files import FILES
from environments.testing.gates import GATES
from environments.testing.lifecycle import LIFECYCLE, a_cut_link_is_told_from_a_failed_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from environments.protocols import Provider
    from environments.types import Lease

__all__ = ["Conformance", "Faults", "Finding", "check_provider"]

_CHECK_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of one check."""

    check: str
    about: str
    trouble: str | None
    """None where the machine did what it must; otherwise what it did instead."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """What came of all checks."""

    provider: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Every check passed."""
        return all(finding.trouble is None for finding in self.findings)

    def require(self) -> None:
        """Raise with everything that is wrong.

        Raises:
            AssertionError: a check failed.
        """
        wrong = [f"{f.check}: {f.about}\n    {f.trouble}" for f in self.findings if f.trouble is not None]
        if wrong:
            raise AssertionError(f"{self.provider} does not conform:\n" + "\n".join(wrong))


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How to break machines of a kind, for checks that only its author can make possible."""

    cut_link: Callable[[Lease], Awaitable[None]] | None = None
    """Cuts the connection between redline and the machine, which itself stays well."""


async def check_provider(
    provider: Provider, *, faults: Faults | None = None, only: Sequence[str] = ()
) -> Conformance:
    """Open machines of a kind and find out whether they do what redline counts on.

    Most checks share one machine; those about opening and closing open their own. A check that fails does
    not keep the others from running.

    Args:
        provider: what to check.
        faults: ways to break its machines.
        only: names of checks to run, instead of all.

    Raises:
        Unavailable: no machine can be had to check.
    """
    findings: list[Finding] = []

    async def look_into(check: Callable[..., Awaitable[None]], *given: Any) -> None:
        if not only or check.__name__ in only:
            findings.append(await _finding(check, *given))

    shared = (*LAUNCH, *COMMANDS, *FILES, *CONTROL, *GATES)
    if not only or any(check.__name__ in only for check in shared):
        async with provider.open(label="conformance", seed=0) as lease:
            for check in shared:
                await look_into(check, lease)
    for alone in LIFECYCLE:
        await look_into(alone, provider)
    if faults is not None and faults.cut_link is not None:
        await look_into(a_cut_link_is_told_from_a_failed_command, provider, faults.cut_link)
    return Conformance(provider=provider.name, findings=tuple(findings))


async def _finding(check: Callable[..., Awaitable[None]], *given: Any) -> Finding:
    clock = asyncio.get_running_loop().time
    began, trouble = clock(), None
    try:
        async with asyncio.timeout(_CHECK_S):
            await check(*given)
    except Exception as raised:  # noqa: BLE001  whatever a machine of any make raises is the finding
        where = traceback.extract_tb(raised.__traceback__)[-1]
        said = f"{type(raised).__name__}: {raised}".strip().rstrip(":")
        trouble = f"{said} ({where.name}, line {where.lineno}: {where.line})"
    about = (check.__doc__ or "").strip()
    return Finding(check=check.__name__, about=about, trouble=trouble, seconds=clock() - began)
