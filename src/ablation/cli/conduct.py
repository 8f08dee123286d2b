"""Runs a study for a command: live display, interrupts, report, exit status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ablation import untrusted
from ablation.cli.asking import PersonAtTerminal, terminal_to_ask_at
from ablation.cli.diagnostics import configure_diagnostics
from ablation.cli.faults import DONE, UNSOUND, Stopped, WrongUse
from ablation.cli.interrupts import Interrupted, run_interruptibly
from ablation.cli.limits import SPENDING
from ablation.cli.printing import print_json
from ablation.progress import watching
from ablation.report import build_report, print_report, report_as_json
from ablation.runner import run_study
from ablation.store import StudyFolder
from environments import Halted
from scaffold.oversight import Oversight, may_ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablation.design import Study
    from ablation.progress import Display
    from ablation.report import Report
    from ablation.store import Origin

__all__ = ["Sitting", "default_folder"]


def default_folder(name: str) -> Path:
    """Return a folder that says what ran and when."""
    return Path("runs") / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """One stretch of work on a study."""

    study: Study
    out: Path
    origin: Origin
    script: bytes | None = None
    concurrency: int | None = None
    as_json: bool = False
    publish: Callable[[Report, Path], Path] | None = None
    """Writes the report into the folder and returns where."""

    def conduct(self) -> int:
        """Run what is not done yet, report all of it, and return the exit status.

        Raises:
            Stopped: the sitting was interrupted, or what may be spent was.
        """
        configure_diagnostics()
        screen = Console(stderr=True)
        try:
            with watching(screen, title=self.study.name) as display:
                result = run_interruptibly(
                    run_study(
                        self.study,
                        self.out,
                        concurrency=self.concurrency,
                        on_progress=display.show,
                        origin=self.origin,
                        script=self.script,
                        oversight=self._oversight(screen, display),
                    )
                )
        except Interrupted:
            raise Stopped(self._saved("interrupted")) from None
        except Halted as fault:
            raise Stopped(self._saved(f"halted ({fault})")) from fault
        folder = StudyFolder.load(self.out)
        report = build_report(result.records, folder.design, incomplete=result.incomplete)
        # Written before anything is printed: whoever reads the output may stop reading.
        where = self.publish(report, self.out) if self.publish else self.out
        if self.as_json:
            found = {**report_as_json(report), "folder": str(self.out), "attempts": result.attempts}
            print_json(found)
        else:
            print_report(report, Console())
        screen.print(f"saved: {where}", markup=False, highlight=False, soft_wrap=True)
        if result.left:
            left = untrusted.line(f"LEFT BEHIND: {', '.join(result.left)}", limit=2000)
            screen.print(left, markup=False, highlight=False)
        if result.incomplete:
            raise Stopped(f"{result.incomplete}; go on with `redline resume {self.out} {self._more()}`")
        return UNSOUND if result.voids or result.leaks or result.left else DONE

    def _oversight(self, screen: Console, display: Display) -> Oversight:
        """Return the hand on the study; the person in this terminal has it, if there is a terminal."""
        keys = terminal_to_ask_at()
        if keys is not None:
            return Oversight(person=PersonAtTerminal(console=screen, keys=keys, aside=display.aside))
        if may_ask(self.study.oversight):
            raise WrongUse(
                "the study asks a person about tool calls, and this is no terminal to ask in: run it in one, "
                "or choose another --oversee"
            )
        return Oversight()

    def _more(self) -> str:
        """Return the options under which there is more to spend."""
        given = self.study.spending.model_dump()
        return " ".join(f"{option} MORE" for name, option in SPENDING.items() if given[name] is not None)

    def _saved(self, what: str) -> str:
        total = len(self.study.trials())
        if not (self.out / "study.json").exists():
            return f"{what} before the study began"
        done = len(StudyFolder.load(self.out).records())
        return f"{what}; {done} of {total} trials are saved: go on with `redline resume {self.out}`"
