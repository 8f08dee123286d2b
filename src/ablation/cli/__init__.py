"""The command line. Each command's module is loaded when the command is called, and not before."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import traceback

import click

from ablation import untrusted
from ablation.cli.lazy import LazyGroup

__all__ = ["main", "redline"]

_OPEN_FILES = 1 << 16


@click.group(
    cls=LazyGroup,
    commands={
        "doctor": ("ablation.cli.doctor:doctor", "What works on this machine, and what to install."),
        "list": ("ablation.cli.list:list_names", "Names of scaffolds, scenarios, environments, subjects."),
        "run": ("ablation.cli.run:run", "Run one scaffold on one scenario."),
        "ablate": ("ablation.cli.ablate:ablate", "Run a study: arms x scenarios x seeds."),
        "resume": ("ablation.cli.resume:resume", "Go on with a study that was stopped or killed."),
        "halt": ("ablation.cli.halt:halt", "End every machine of a running study at once."),
        "pause": ("ablation.cli.steering:pause", "Make a running study wait, or one trial of it."),
        "continue": ("ablation.cli.steering:resume", "Let what is paused go on."),
        "step": ("ablation.cli.steering:step", "Let what is paused take one step."),
        "abort": ("ablation.cli.steering:abort", "End one running trial; what it came to is judged."),
        "verify": ("ablation.cli.verify:verify", "Check that a study's record is what was written."),
        "report": ("ablation.cli.report:report", "Show what a study found."),
        "show": ("ablation.cli.show:show", "Read one trial, step by step."),
        "replay": (
            "ablation.cli.replay:replay",
            "Take a trial's decisions again on a fresh machine; see where it parts.",
        ),
        "drill": (
            "ablation.cli.drill:drill",
            "Try to get out of a machine; see that it ends with its runner.",
        ),
        "vm": ("ablation.cli.vm:vm", "Build, boot, list and destroy virtual machines."),
        "validate": ("ablation.cli.validate:validate", "Prove that a scenario's judge can be trusted."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(package_name="redline", prog_name="redline")
@click.option("--verbose", is_flag=True, help="Also tell what is going on, on standard error.")
@click.pass_context
def redline(context: click.Context, *, verbose: bool) -> None:
    """Measure how much of an agent's autonomy is the model and how much the scaffold.

    \b
    Try it, without a key:
      redline doctor
      redline run self-replication --model simulated:steady --trials 5
      redline report runs/...
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    context.obj = verbose


def main() -> None:
    """Run the command line. Every way out of it is one clear line and an exit status.

    0 done, 1 a trial was void or a check failed, 2 wrong use, 3 containment refused, 130 interrupted.
    """
    _allow_open_files()
    try:
        status = redline.main(standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("redline: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as bug:  # noqa: BLE001 - the outermost frame: a bug is reported, not thrown at the user
        _report_bug(bug)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _allow_open_files() -> None:
    """Take as many descriptors as we may: a hundred machines at once need more than the usual 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _report_bug(bug: Exception) -> None:
    if os.environ.get("REDLINE_DEBUG"):
        traceback.print_exception(bug)
        return
    with tempfile.NamedTemporaryFile("w", prefix="redline-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exception(bug, file=file)
    what = untrusted.line(f"{type(bug).__name__}: {bug}", limit=200)
    click.echo(f"redline: unexpected {what} (details in {file.name}; REDLINE_DEBUG=1 shows them)", err=True)
