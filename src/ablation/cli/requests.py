"""What was asked for on the command line, kept with the study so that it can be built again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ablation.cli import catalogue
from ablation.cli.loading import load_study
from ablation.cli.subjects import SubjectRequest
from ablation.cli.supervising import SupervisionRequest
from ablation.cli.variants import VariantRequest
from ablation.design import Arm, Study
from ablation.errors import NameUnknown
from ablation.record import digest
from ablation.spending import SpendLimits
from ablation.store import Origin
from ablation.types import CanaryMode
from scaffold import Budget
from scaffold.models import ReplyCache
from scaffold.models.prices import VARIABLE as TABLE

if TYPE_CHECKING:
    from ablation.store import StudyFolder

__all__ = ["RunRequest", "ScriptRequest", "study_again"]


class RunRequest(BaseModel):
    """`redline run`: one scaffold on one scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    variant: VariantRequest = VariantRequest()
    scaffold: str
    environment: str
    subject: SubjectRequest
    seeds: tuple[int, ...]
    budget: Budget
    spending: SpendLimits = SpendLimits()
    void_retries: int = 2
    oversee: SupervisionRequest = SupervisionRequest(policy="all")
    canaries: CanaryMode = "note"
    reply_cache: Path | None = None
    folder: str
    """The directory the names were meant in."""

    def study(self) -> Study:
        """Return the study of one arm that does what was asked for."""
        sys.path.insert(0, self.folder)
        agent = catalogue.scaffold(self.scaffold)
        task = self.variant.of(catalogue.scenario(self.scenario))
        return Study(
            name=f"{task.name}-{agent.name}"[:64],
            arms=[Arm(name=agent.name, scaffold=agent, baseline=True)],
            scenarios=[task],
            seeds=self.seeds,
            subject=self.subject.subject(),
            environment=catalogue.environment(self.environment),
            budget=self.budget,
            spending=self.spending,
            void_retries=self.void_retries,
            oversight=self.oversee.supervisor(),
            canaries=self.canaries,
            reply_cache=_cache(self.reply_cache),
            controls=False,
        )

    def origin(self) -> Origin:
        """Return what `study_again` needs."""
        return Origin(kind="command", arguments=self.model_dump(mode="json"))


class ScriptRequest(BaseModel):
    """`redline ablate`: a study from a script, some of it replaced by options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: Path
    environment: str | None = None
    subject: SubjectRequest | None = None
    seeds: tuple[int, ...] | None = None
    prices: Path | None = None
    """For the script's own subjects."""
    spending: SpendLimits = SpendLimits()
    """What is not None is put in place of the script's."""
    void_retries: int | None = None
    oversee: SupervisionRequest | None = None
    canaries: CanaryMode | None = None
    reply_cache: Path | None = None

    def study(self, *, stored: Path | None = None) -> Study:
        """Return the script's study with the replacements made.

        Args:
            stored: a copy to run in the script's place.
        """
        if self.prices is not None:
            os.environ[TABLE] = str(self.prices)  # where the script's own subjects look
        study = load_study(stored or self.script, home=self.script.parent)
        changes: dict[str, Any] = {"spending": study.spending.changed(**self.spending.model_dump())}
        if self.environment is not None:
            changes["environment"] = catalogue.environment(self.environment)
        if self.subject is not None:
            changes["subject"] = self.subject.subject()
        if self.seeds is not None:
            changes["seeds"] = self.seeds
        if self.void_retries is not None:
            changes["void_retries"] = self.void_retries
        if self.oversee is not None:
            changes["oversight"] = self.oversee.supervisor()
        if self.canaries is not None:
            changes["canaries"] = self.canaries
        if self.reply_cache is not None:
            changes["reply_cache"] = _cache(self.reply_cache)
        return replace(study, **changes)

    def origin(self) -> Origin:
        """Return what `study_again` needs."""
        return Origin(
            kind="script",
            script=str(self.script),
            script_digest=digest(self.script.read_bytes()),
            arguments=self.model_dump(mode="json"),
        )


def _cache(path: Path | None) -> ReplyCache | None:
    return None if path is None else ReplyCache(path)


def study_again(folder: StudyFolder) -> Study:
    """Build the study in a folder again, the way it was built when it began.

    The script is run from where it was, as long as it is the same; otherwise the copy in the folder is.

    Raises:
        NameUnknown: the study was not started from the command line.
        DesignFault: it cannot be built any more.
    """
    origin = folder.origin
    match origin.kind:
        case "command":
            return RunRequest.model_validate(origin.arguments).study()
        case "script":
            script = Path(origin.script)
            same = script.is_file() and digest(script.read_bytes()) == origin.script_digest
            request = ScriptRequest.model_validate(origin.arguments)
            return request.study(stored=None if same else folder.path / "study.py")
        case "replay":
            raise NameUnknown(
                f"{folder.path} holds a replay: run `redline replay` again on the trial that it replays"
            )
        case "python":
            raise NameUnknown(
                f"the study in {folder.path} was started by a program: run that program again, and it goes on"
            )
