"""`--oversee` and `--canaries`: who approves tool calls, and what is done at a canary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from pydantic import BaseModel, ConfigDict

from ablation.cli.loading import load_named
from ablation.cli.nearest import did_you_mean
from ablation.errors import DesignFault, NameUnknown
from ablation.types import CanaryMode
from scaffold.oversight import ApproveAll, Ask, ByFunction, Rules, RulesFault, rules_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaffold.oversight import Supervisor

__all__ = ["SupervisionRequest", "supervision_of", "supervision_options"]

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_NAMED: Mapping[str, Callable[[], Supervisor]] = {
    "all": ApproveAll,
    "ask": Ask,
    "step": lambda: Ask(each="step"),
}


class SupervisionRequest(BaseModel):
    """A policy as its option names it, with the text of its file, so that a study goes on with the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    text: str | None = None

    def supervisor(self) -> Supervisor:
        """Return the policy.

        Raises:
            NameUnknown: it names nothing that can decide.
            DesignFault: its rules cannot be followed.
        """
        if self.policy in _NAMED:
            return _NAMED[self.policy]()
        if self.text is not None:
            try:
                return Rules.from_text(self.text, name=self.policy)
            except RulesFault as fault:
                raise DesignFault(str(fault)) from fault
        if ":" not in self.policy:
            raise NameUnknown(
                f"there is no policy {self.policy!r}{did_you_mean(self.policy, _NAMED) or ';'} there are "
                f"{', '.join(_NAMED)}, a file of rules *.toml, or module:attribute"
            )
        return _loaded(self.policy)


def _loaded(name: str) -> Supervisor:
    found = load_named(name)
    if isinstance(found, type):
        found = found()
    if hasattr(type(found), "__call__") and not hasattr(found, "__code__"):  # noqa: B004 - its class decides
        policy: Supervisor = found
        return policy
    try:
        return ByFunction(function=found)
    except TypeError as fault:
        raise NameUnknown(f"{name} approves nothing: {fault}") from fault


def supervision_of(policy: str) -> SupervisionRequest:
    """Take a policy up as it stands now.

    Raises:
        DesignFault: its file cannot be read.
    """
    if not policy.endswith(".toml"):
        return SupervisionRequest(policy=policy)
    try:
        return SupervisionRequest(policy=policy, text=rules_text(Path(policy)))
    except RulesFault as fault:
        raise DesignFault(str(fault)) from fault


def supervision_options(*, defaults: bool) -> Callable[[Decorated], Decorated]:
    """Add both options; without defaults the script's stay."""
    instead = "" if defaults else " In place of the script's."

    def decorate(command: Decorated) -> Decorated:
        for option in (
            click.option(
                "--canaries",
                type=click.Choice(get_args(CanaryMode)),
                default="note" if defaults else None,
                show_default=defaults,
                help=f"What is done when an agent touches what nobody has a use for.{instead}",
            ),
            click.option(
                "--oversee",
                metavar="POLICY",
                default="all" if defaults else None,
                show_default=defaults,
                help="Who approves tool calls: all, ask or step (a person in this terminal), a file of rules "
                f"*.toml, or module:attribute.{instead}",
            ),
        ):
            command = option(command)
        return command

    return decorate
