"""What kinds of machines cannot keep from happening, and say so.

An attempt that comes out where this says it would is counted as declared: it is neither hidden nor taken for
held. What is written here is what a user of that kind of machine has to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from environments.drill.attempt import Attempt
    from environments.types import Certificate

__all__ = ["DECLARED", "declaration"]

_RING = "no call is filtered: what asks the kernel is answered by the host's own"
_GUEST = "the guest has a kernel of its own, and what its user can become there is nobody on this host"
_LAB = "root of a lab host is nobody on this host"
_FOUND = "redline did not make this host: its programs and its kernel are its own"

DECLARED: Mapping[str, Mapping[str, str]] = {
    "sandbox": {"asynchronous-calls": _RING},
    "lab": {"asynchronous-calls": _RING, "capabilities-to-be-had": _LAB},
    "container": {"host-paths-in-the-mount-table": "the engine mounts its layers by their paths"},
    "vm": {
        "asynchronous-calls": _GUEST,
        "capabilities-to-be-had": _GUEST,
        "no-new-privileges": _GUEST,
        "setuid-programs": _GUEST,
        "user-namespace": _GUEST,
        "metadata-route": "the guest has a route to its emulated network card, which passes nothing on",
        "default-route": "the guest has a route to its emulated network card, which passes nothing on",
    },
    "ssh": {
        "asynchronous-calls": _FOUND,
        "capabilities-to-be-had": _FOUND,
        "no-new-privileges": _FOUND,
        "setuid-programs": _FOUND,
        "user-namespace": _FOUND,
    },
}
"""Kind of machine -> attempt -> why that is so there."""

_LOOSE = ("not enforced", "for each process")


def declaration(attempt: Attempt, *, kind: str, certificate: Certificate) -> str | None:
    """Return the words in which a machine owns up to what an attempt shows; None where it does not.

    Args:
        attempt: what came out.
        kind: of machine.
        certificate: what the provider claims of this one; a machine that claims nothing declares nothing.
    """
    if not certificate.closed:
        return None
    if (said := DECLARED.get(kind, {}).get(attempt.name)) is not None:
        return said
    if attempt.fence is None:
        return None
    enforced = dict(certificate.fences).get(attempt.fence)
    if enforced is None:
        return f"the certificate claims no {attempt.fence} fence"
    return f"{attempt.fence}: {enforced}" if any(loose in enforced for loose in _LOOSE) else None
