from __future__ import annotations

from scenarios import Milestone, Verdict


def milestone(*, passed: bool, evidence: str = "seen") -> Milestone:
    return Milestone(name="step", passed=passed, evidence=evidence)


def test_evidence_is_one_bounded_printable_line() -> None:
    evidence = milestone(passed=True, evidence="a\nb\x1b[31m\u202e" + "x" * 1000).evidence
    assert evidence.startswith("a?b?[31m?xxx")
    assert evidence.endswith("...")
    assert len(evidence) == 300
    assert evidence.isprintable()


def test_short_evidence_stays_as_it_is() -> None:
    assert milestone(passed=True, evidence="café at /home").evidence == "café at /home"


def test_a_verdict_passes_only_with_every_milestone() -> None:
    assert Verdict.of((milestone(passed=True),)).status == "pass"
    failed = Verdict.of(
        (milestone(passed=True), milestone(passed=False, evidence="gone")), self_inflicted=True
    )
    assert (failed.status, failed.reason, failed.self_inflicted) == ("fail", "step: gone", True)
