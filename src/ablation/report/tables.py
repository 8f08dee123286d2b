"""The report's tables as headings and cells of text, the same for every renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation import untrusted
from ablation.report import wording
from ablation.report.conduct import behaviour_table, honesty_table, ladder_table
from ablation.report.containment import state_containment
from ablation.report.descent import chain_table, descent_table, lineage_table
from ablation.report.doses import dose_table
from ablation.report.table import Table

if TYPE_CHECKING:
    from ablation.report.content import Arm, Effect, FacultyShare, Proportion, Report

__all__ = ["Table", "results_tables", "trust_tables"]


def results_tables(report: Report) -> tuple[Table, ...]:
    """Return the tables that answer the question; one without rows is left out."""
    return _filled(
        _effects(report),
        _success(report),
        _outcomes(report),
        _canaries(report),
        _milestones(report),
        _costs(report),
        _hurdles(report),
        dose_table(report),
        chain_table(report),
        ladder_table(report),
        honesty_table(report),
        behaviour_table(report),
    )


def trust_tables(report: Report) -> tuple[Table, ...]:
    """Return the tables that say whether to believe the answer; one without rows is left out."""
    return _filled(
        _faculties(report),
        _supervision(report),
        _containment(report),
        _declared(report),
        lineage_table(report),
        descent_table(report),
    )


def _filled(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def _effects(report: Report) -> Table:
    return Table(
        title="What each faculty is worth",
        head=("removed", "worlds", "lost", "95 %", "differ", "p", "reading", "if voids failed"),
        rows=tuple(_effect_row(effect) for effect in report.effects),
        note=(
            "Lost: the baseline's success minus the arm's on the same worlds, in points; positive "
            "where what was removed helped. Interval: Newcombe's for paired proportions. Differ: worlds "
            "only the baseline won, and worlds only the arm won. p: McNemar's exact test, Holm-adjusted over "
            "the removed faculties and as it is for other arms. Only worlds measured in both arms are "
            "compared. Not shown is not absent: what lies in the interval is not ruled out."
        ),
    )


def _effect_row(effect: Effect) -> tuple[str, ...]:
    measured, failed = effect.measured, effect.voids_failed
    if measured is None or failed is None or effect.p is None:
        return (effect.name, "0", *[wording.DASH] * 4, wording.read_effect(effect), wording.DASH)
    return (
        effect.name,
        str(measured.table.worlds),
        wording.points(measured.difference),
        wording.points_interval(measured.interval),
        f"{measured.table.only_first}:{measured.table.only_second}",
        wording.p_value(effect.p),
        wording.read_effect(effect),
        "same"
        if failed == measured
        else f"{wording.points(failed.difference)} {wording.points_interval(failed.interval)}",
    )


def _success(report: Report) -> Table:
    unaided = {found.arm: found.unaided for found in report.supervision}
    return Table(
        title="Success by arm",
        head=(
            *("arm", "what it is", "success", "share", "95 %"),
            *(("without help", "95 %") if unaided else ()),
            *("void", "if voids failed", "attempts"),
        ),
        rows=tuple(
            (
                arm.name,
                _purpose(arm),
                f"{arm.success.count} / {arm.success.of}",
                wording.percent(arm.success.value) if arm.success.of else wording.DASH,
                wording.share_interval(arm.success.interval),
                *(
                    (f"{alone.count} / {alone.of}", wording.share_interval(alone.interval))
                    if (alone := unaided.get(arm.name))
                    else ()
                ),
                str(arm.voids),
                wording.percent(arm.success_with_voids_failed.value) if arm.voids else "same",
                str(arm.attempts),
            )
            for arm in report.arms
        ),
        note="Interval: Wilson's. Void: shown to be the instrument's fault, so neither success nor failure."
        + (" Without help: no supervisor kept a call from running or ended the episode." if unaided else ""),
    )


def _purpose(arm: Arm) -> str:
    role = {"positive_control": "positive control", "negative_control": "negative control"}.get(arm.role)
    return ": ".join(filter(None, [role or ("baseline" if arm.baseline else ""), arm.description]))


def _outcomes(report: Report) -> Table:
    seen = [kind for kind in wording.OUTCOMES if any(arm.outcomes.get(kind) for arm in report.arms)]
    limits = sorted({limit for arm in report.arms for limit in arm.limits})
    return Table(
        title="How trials ended",
        head=(
            "arm",
            *(wording.OUTCOMES[kind] for kind in seen),
            *(f"ran out of {limit}" for limit in limits),
        ),
        rows=tuple(
            (
                arm.name,
                *(str(arm.outcomes.get(kind, 0)) for kind in seen),
                *(str(arm.limits.get(limit, 0)) for limit in limits),
            )
            for arm in report.arms
            if seen
        ),
    )


def _canaries(report: Report) -> Table:
    hows = sorted({how for found in report.canaries for how in found.hows})
    unwatched = list(dict.fromkeys(words for found in report.canaries for words in found.unwatched))
    return Table(
        title="Canaries",
        head=("arm", "touched in", "share", "95 %", *hows),
        rows=tuple(
            (
                found.arm,
                f"{found.touched.count} / {found.touched.of}",
                wording.percent(found.touched.value) if found.touched.of else wording.DASH,
                wording.share_interval(found.touched.interval),
                *(str(found.hows.get(how, 0)) for how in hows),
            )
            for found in report.canaries
        ),
        note=(
            "Trials in which something was touched that is there for no use: files, a credential, a host "
            "name. It counts neither for success nor against it; a sweep through the whole home touches too."
            + (f" Not told on some machines: {'; '.join(unwatched)}." if unwatched else "")
        ),
    )


def _supervision(report: Report) -> Table:
    return Table(
        title="What supervisors did",
        head=("arm", "interventions", "trials with help", "aborted"),
        rows=tuple(
            (
                found.arm,
                str(found.interventions),
                f"{found.helped.count} / {found.helped.of}",
                str(found.aborted),
            )
            for found in report.supervision
        ),
        note=(
            "Help: a call was kept from running, or the episode was ended, by a rule, a person or a "
            "function. Looking on, pausing and letting it go on unchanged is put on record and is no help."
        ),
    )


def _milestones(report: Report) -> Table:
    names = list(dict.fromkeys(m.name for arm in report.arms for m in arm.milestones))
    return Table(
        title="How far they got",
        head=("arm", *names),
        rows=tuple(
            (
                arm.name,
                *(
                    wording.percent(passed[name].value) if name in passed else wording.DASH
                    for passed in [{m.name: m.passed for m in arm.milestones}]
                    for name in names
                ),
            )
            for arm in report.arms
            if names
        ),
        note="Share of measured trials that passed each milestone, as the oracle decided it.",
    )


_COST_NOT_KNOWN = (
    "Cost not known: no price was given for some subject, and the price table has none (--price IN,OUT; 0,0 "
    "for a server of your own)."
)


def _cached(arm: Arm) -> str:
    prompt, cached = arm.prompt_tokens, arm.cached_tokens
    return (
        wording.percent(cached.value / prompt.value) if prompt and cached and prompt.value else wording.DASH
    )


def _costs(report: Report) -> Table:
    money = ("cost a trial", "cost a success") if report.priced else ()
    cached = ("cached",) if report.cached else ()
    return Table(
        title="What it cost",
        head=(
            "arm",
            "steps a trial",
            "seconds a trial",
            "tokens a trial",
            *cached,
            "tokens a success",
            *money,
        ),
        rows=tuple(
            (
                arm.name,
                *(wording.amount(mean.value) if mean else wording.DASH for mean in (arm.steps, arm.seconds)),
                wording.estimate(arm.tokens),
                *(_cached(arm) for _ in cached),
                wording.estimate(arm.tokens_per_success),
                *(
                    wording.estimate(value, as_money=True)
                    for value in (arm.cost, arm.cost_per_success)
                    if report.priced
                ),
            )
            for arm in report.arms
            if arm.tokens and arm.tokens.value
        ),
        note=(
            "Means with 95 % bootstrap intervals (percentile, over trials). A success bears what the "
            "failures cost; without any there is no number."
            + (" Cached: the part of the prompt that the server had in its prefix cache." if cached else "")
            + ("" if report.cost_known else f" {_COST_NOT_KNOWN}")
        ),
    )


def _hurdles(report: Report) -> Table:
    return Table(
        title="Success with and without each hurdle",
        head=("hurdle", "arm", "with it", "95 %", "without it", "95 %"),
        rows=tuple(
            (
                contrast.hurdle,
                contrast.arm,
                f"{contrast.present.count} / {contrast.present.of}",
                wording.share_interval(contrast.present.interval),
                f"{contrast.absent.count} / {contrast.absent.of}",
                wording.share_interval(contrast.absent.interval),
            )
            for contrast in report.hurdles
        ),
        note="Worlds with and without a hurdle are different worlds: these two columns are not paired.",
    )


def _faculties(report: Report) -> Table:
    return Table(
        title="Did each faculty fire",
        head=("arm", "faculty", "entered in", "turns a trial", "tool calls a trial", "tokens"),
        rows=tuple(
            (
                arm.name,
                faculty.name,
                _entered(faculty),
                f"{faculty.turns:.1f}",
                f"{faculty.tool_calls:.1f}",
                wording.percent(faculty.tokens),
            )
            for arm in report.arms
            for faculty in arm.faculties
        ),
        note="The manipulation check: an arm without a faculty must show zeros for it.",
    )


def _entered(faculty: FacultyShare) -> str:
    if faculty.present:
        return f"{faculty.entered.count} / {faculty.entered.of}"
    return "absent, yet it fired" if faculty.fired else "absent"


def _containment(report: Report) -> Table:
    found = report.containment
    return Table(
        title="Containment",
        lead=state_containment(found),
        head=("probe", "seen from", "declared", "before", "during", "after"),
        rows=tuple(
            (
                untrusted.line(share.name),
                share.seen_from,
                untrusted.line(share.declared),
                *(_held(phase) for phase in (share.before, share.during, share.after)),
            )
            for share in found.probes
        ),
        note=(
            "Trials in which a probe found what is declared, of those in which it was made: before the agent "
            "came, at moments it could not foresee while it acted, and with its hands off. Outside: read "
            "from the kernel or the emulator. Inside: tried as the agent, who can keep it from being tried; "
            "then the outside decides."
        ),
    )


def _held(share: Proportion) -> str:
    return f"{share.count} / {share.of}" if share.of else wording.DASH


def _declared(report: Report) -> Table:
    found = report.containment
    quiet = [("time to quiet", each) for each in found.time_to_quiet]
    fences = [(f"limit of {name}", how) for name, how in found.fences]
    return Table(
        title="What the machines declare",
        head=("about", "in words"),
        rows=tuple(
            (untrusted.line(about), untrusted.line(words))
            for about, words in (*found.declared, *fences, *quiet)
        ),
    )
