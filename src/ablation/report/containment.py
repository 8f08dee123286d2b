"""What the certificates of a study's trials say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.report.content import Containment, ProbeShare, Proportion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ablation.types import TrialRecord

__all__ = ["check_containment", "is_granted", "state_containment"]

_NOTHING = Proportion(count=0, of=0)


def check_containment(trials: Sequence[TrialRecord]) -> Containment:
    """Read the certificates of all trials that had a machine."""
    certificates = [trial.certificate for trial in trials if trial.certificate]
    return Containment(
        granted=Proportion(count=sum(map(is_granted, certificates)), of=len(certificates)),
        lost=sum(trial.containment_lost for trial in trials),
        providers=_each(str(c["provider"]) for c in certificates if "provider" in c),
        probes=tuple(_shares(certificates)),
        samples=sum(int(c.get("samples", 0)) for c in certificates),
        fences=_pairs(certificates, "fences"),
        declared=_pairs(certificates, "declared"),
        time_to_quiet=_each(str(c["time_to_quiet"]) for c in certificates if c.get("time_to_quiet")),
    )


def _each(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))


def _pairs(certificates: Sequence[Mapping[str, Any]], what: str) -> tuple[tuple[str, str], ...]:
    pairs = [(str(one), str(other)) for c in certificates for one, other in c.get(what, ())]
    return tuple(dict.fromkeys(pairs))


def _shares(certificates: Sequence[Mapping[str, Any]]) -> Iterator[ProbeShare]:
    """Count trials: one found what was declared in a phase if every probe of that name then did."""
    held: dict[tuple[str, str], dict[str, dict[int, bool]]] = {}
    declared: dict[tuple[str, str], dict[str, None]] = {}
    for number, certificate in enumerate(certificates):
        for probe in certificate.get("probes", ()):
            key = str(probe["name"]), str(probe.get("seen_from", "outside"))
            trials = held.setdefault(key, {}).setdefault(str(probe.get("phase", "before")), {})
            trials[number] = trials.get(number, True) and probe["declared"] == probe["found"]
            declared.setdefault(key, {})[str(probe["declared"])] = None
    for (name, seen_from), phases in held.items():
        found = {phase: Proportion(count=sum(t.values()), of=len(t)) for phase, t in phases.items()}
        yield ProbeShare(
            name=name,
            seen_from=seen_from,
            declared=" or ".join(declared[name, seen_from]),
            before=found.get("before", _NOTHING),
            during=found.get("during", _NOTHING),
            after=found.get("after", _NOTHING),
        )


def is_granted(certificate: Mapping[str, Any]) -> bool:
    """Whether a certificate on record was granted, and nothing found since went against it."""
    probes = certificate.get("probes", ())
    agreed = all(probe["declared"] == probe["found"] for probe in probes)
    return bool(certificate.get("granted", True) and certificate.get("closed", True) and probes and agreed)


def state_containment(found: Containment) -> str:
    """Return in one sentence how far the machines were shown to be closed."""
    if not found.granted.of:
        return "No trial had a machine yet."
    if not found.granted.count:
        return f"None of {found.granted.of} machines was shown to be closed."
    every = found.granted.count == found.granted.of
    which = f"{'All ' if every else ''}{found.granted.count} of {found.granted.of} machines"
    moments = f"before the agent came, {found.samples} times while agents acted, and after"
    ending = f"; {found.lost} lost their containment" if found.lost else ""
    return f"{which} were found as closed as declared, {moments}{ending}."
