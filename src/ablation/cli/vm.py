"""`redline vm`: images of virtual machines, and the machines themselves."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ablation.cli.faults import WrongUse, plain_faults
from ablation.cli.options import as_json
from ablation.cli.printing import print_json
from environments import Limits
from environments.catalogue import machines
from environments.vm.build import Build, sweep
from environments.vm.images import Image, all_images, find_image, images_folder, load_image, remove
from environments.vm.scratch import Trace, clear_away, traces
from environments.vm.sources import sources_at
from environments.vm.variants import VARIANTS
from environments.vm.warm import forget_image, warm_states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from environments import Environment

__all__ = ["vm"]


@click.group
def vm() -> None:
    """Build images of virtual machines, try them, and see what there is."""


@vm.command
@click.argument("variant", type=click.Choice(list(VARIANTS)), default="minimal")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the image.")
@click.option("--force", is_flag=True, help="Also where there is such an image already.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--mirror", help="Archive to take packages from, in place of this host's sources.")
@click.option("--suite", default="bookworm", show_default=True, help="Release on the mirror.")
@as_json
@plain_faults()
def build(
    variant: str,
    *,
    out: Path | None,
    force: bool,
    dry_run: bool,
    mirror: str | None,
    suite: str,
    as_json: bool,
) -> None:
    """Make an image from the distribution's own packages. Takes a minute or two, and 400 MB.

    \b
    Examples:
      redline vm build
      redline vm build gpu --dry-run
      redline vm build --mirror http://deb.debian.org/debian --suite bookworm
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    plan = Build(
        variant=VARIANTS[variant], out=out, sources=sources_at(mirror, suite) if mirror is not None else None
    )
    if dry_run:
        _print_plan(plan)
        return
    image = None if force else _there(plan)
    if image is None:
        _say_untried(plan)
        before = load_image(plan.folder)
        image = asyncio.run(_building(plan))
        if before is not None:
            forget_image(before.digest)
        word = "built"
    else:
        word = "there already"
    if as_json:
        print_json(_described(image))
        return
    click.echo(f"{word}: {image.folder}")
    click.echo(f"digest {image.digest[:16]}, {len(image.packages)} packages, built {image.built}")


async def _building(plan: Build) -> Image:
    """Build; a signal ends it with nothing half made."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await plan.run(tell=lambda line: click.echo(f"{line} ...", err=True))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _there(plan: Build) -> Image | None:
    """Return the image that is there, if it is the one that would be built."""
    image = load_image(plan.folder)
    return find_image(str(plan.folder)) if image is not None else None


def _say_untried(plan: Build) -> None:
    if not plan.variant.tried:
        text = f"note: {plan.variant.name} has not been built and booted before; please report how it went"
        click.echo(text, err=True)


def _print_plan(plan: Build) -> None:
    _say_untried(plan)
    click.echo(f"# {plan.variant.summary}")
    click.echo(f"# into {plan.folder}, from:")
    for line in plan.sources_text().splitlines():
        click.echo(f"#   {line}")
    click.echo("# packages: " + " ".join(plan.variant.packages))
    for step in plan.plan():
        click.echo(shlex.join(step))


@vm.command
@click.argument("image", default="minimal")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", show_default=True)
@click.option("--memory", type=click.IntRange(min=192), default=512, show_default=True, help="MiB.")
@click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--gpu", help="PCI address of a GPU to hand through, or `auto`.")
@click.option("--command", "-c", help="Run this line of shell as the agent, and end.")
@plain_faults()
def boot(image: str, *, accel: str, memory: int, cpus: int, gpu: str | None, command: str | None) -> None:
    """Boot a machine from an image, as a trial would get it, and talk to it as the agent.

    \b
    Examples:
      redline vm boot
      redline vm boot --command 'uname -a'
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    settings: dict[str, Any] = {
        "image": image,
        "accel": accel,
        "cpus": cpus,
        "gpu": gpu,
        "limits": Limits(memory_bytes=memory << 20),
        "warm": False,
    }
    status = asyncio.run(_booted(settings, command))
    click.get_current_context().exit(status)


async def _booted(settings: dict[str, Any], command: str | None) -> int:
    provider = machines("vm", **settings)
    async with provider.open(label="redline vm boot", seed=0) as lease:
        certificate = lease.certificate
        granted = "granted" if certificate.granted else f"refused: {certificate.refusal()}"
        accel = dict(certificate.fences)["accelerator"]
        click.echo(f"up with {accel}, certificate {granted}", err=True)
        if command is not None:
            return await _told(lease.agent, command)
        click.echo("lines are run as the agent; end with Ctrl-D", err=True)
        while line := await asyncio.to_thread(_asked):
            await _told(lease.agent, line)
    return 0


def _asked() -> str:
    with suppress(EOFError):
        return input("agent@machine$ ") or ":"
    return ""


async def _told(agent: Environment, line: str) -> int:
    result = await agent.exec(["bash", "-c", line], timeout_s=600.0)
    sys.stdout.buffer.write(result.stdout)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(result.stderr)
    sys.stderr.buffer.flush()
    return result.status


@vm.command("list")
@as_json
@plain_faults()
def list_machines(*, as_json: bool) -> None:
    """Show images, saved states that machines start from, and machines."""
    images, states, found = all_images(), warm_states(), traces()
    if as_json:
        print_json(
            {
                "images": [_described(image) for image in images],
                "states": [{**asdict(state), "folder": str(state.folder)} for state in states],
                "machines": [{**asdict(trace), "path": str(trace.path)} for trace in found],
            }
        )
        return
    console = Console()
    _print(console, f"images in {images_folder()}", [_image_cells(image) for image in images])
    rows = [(state.folder.name[:12], f"of {state.image}", f"{state.size >> 20} MiB") for state in states]
    _print(console, "saved states", rows)
    _print(console, "machines", [_trace_cells(trace) for trace in found])


def _described(image: Image) -> dict[str, Any]:
    return {**asdict(image), "folder": str(image.folder), "digest": image.digest}


def _image_cells(image: Image) -> tuple[str, ...]:
    size = sum(file.stat().st_blocks * 512 for file in image.folder.iterdir())
    return (
        image.folder.name,
        image.digest[:16],
        f"{size >> 20} MiB",
        image.built,
        f"{len(image.packages)} packages",
    )


def _trace_cells(trace: Trace) -> tuple[str, ...]:
    since = datetime.fromtimestamp(trace.since, UTC).isoformat(timespec="seconds")
    state = f"held by process {trace.runner}" if trace.alive else "left behind; `redline vm destroy --left`"
    return trace.path.name, trace.label, f"{trace.disk_bytes >> 20} MiB", since, state


def _print(console: Console, title: str, rows: Sequence[tuple[str, ...]]) -> None:
    console.print(Text(title, style="bold"))
    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(*map(Text, row))
    if not rows:
        table.add_row(Text("none", style="dim"))
    console.print(table)


@vm.command
@click.argument("images", nargs=-1)
@click.option("--left", is_flag=True, help="What machines left behind whose runner was killed.")
@click.option("--all", "everything", is_flag=True, help="Every image, and what was left behind.")
@plain_faults()
def destroy(images: tuple[str, ...], *, left: bool, everything: bool) -> None:
    """Delete images with the states saved from them, and what was left behind.

    Machines that are in use go on: they hold their files.

    \b
    Examples:
      redline vm destroy minimal
      redline vm destroy --left
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    known = {image.folder.name: image for image in all_images()}
    wanted = list(known) if everything else list(images)
    if not (wanted or left or everything):
        raise WrongUse("name images, or give --left or --all; `redline vm list` shows what there is")
    if missing := [name for name in wanted if name not in known]:
        raise WrongUse(f"there is no image {missing[0]}; `redline vm list` shows what there is")
    for name in wanted:
        states = forget_image(known[name].digest)
        remove(known[name].folder)
        click.echo(f"deleted image {name} and {states} saved states")
    if left or everything:
        if images_folder().is_dir():
            sweep(images_folder())
        for path in clear_away():
            click.echo(f"deleted {path}")
