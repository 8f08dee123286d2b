"""`redline halt`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablation import untrusted
from ablation.cli.faults import DONE, UNSOUND, WrongUse, plain_faults
from ablation.cli.options import as_json
from ablation.cli.printing import print_json
from environments.warden import halt as end_machines
from environments.warden import wardens

if TYPE_CHECKING:
    from environments.warden import Found, Halt

__all__ = ["halt"]


@click.command
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Every study of this user on this host.")
@as_json
@click.pass_context
@plain_faults()
def halt(context: click.Context, /, folder: Path | None, *, everything: bool, as_json: bool) -> None:
    """End every machine of a running study at once, whatever its runner is doing.

    The warden does it, not the runner: it kills all processes of all machines, removes what is left of them,
    and says how long it took until all was quiet. The runner asks no model any more and stops; trials that
    were running have no result, and `redline resume` runs them again.

    \b
    Examples:
      redline halt runs/my-study
      redline halt --all
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if (folder is None) != everything:
        raise WrongUse("say which study: its folder, or --all")
    found = wardens(folder)
    if not found and folder is not None:
        raise WrongUse(f"nobody is working on {folder} on this host, as this user")
    halts = asyncio.run(_all(found))
    if as_json:
        content = [
            {
                "runner": each.found.runner,
                "studies": [str(study) for study in each.found.studies],
                "machines": each.machines,
                "took_s": each.took_s,
                "left": list(each.left),
            }
            for each in halts
        ]
        print_json({"halted": content})
    else:
        for each in halts:
            click.echo(untrusted.line(_told(each), limit=2000))
        if not halts:
            click.echo("nothing to halt: no machine of this user is held on this host")
    context.exit(DONE if all(each.took_s is not None and not each.left for each in halts) else UNSOUND)


async def _all(found: list[Found]) -> list[Halt]:
    return list(await asyncio.gather(*map(end_machines, found)))


def _told(halted: Halt) -> str:
    studies = ", ".join(str(study) for study in halted.found.studies) or f"process {halted.found.runner}"
    if halted.took_s is None:
        return f"{studies}: its warden did not say how it went; see `redline doctor`"
    left = f"; LEFT BEHIND: {', '.join(halted.left)}" if halted.left else "; nothing is left"
    return f"{studies}: {halted.machines} machines, quiet after {halted.took_s:.2f} s{left}"
