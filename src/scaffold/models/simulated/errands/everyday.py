"""What is the same in many errands: how a service is started, and the troubles that any program may have.

A blank `{place}` is the directory that the task is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaffold.models.simulated.errands.facts import Call, shell
from scaffold.models.simulated.errands.recipe import Look, Snag

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASKED", "absent", "asked", "denied", "launched", "locked", "readme", "unpacked"]

SERVED = """\
cd %s && touch %s && before=$(wc -c <%s) && { setsid nohup %s >>%s 2>&1 </dev/null & }
said() { tail -c "+$((before + 1))" %s; }
for _ in {1..100}; do
  said | grep 'answering on' && exit
  kill -0 $! 2>/dev/null || break
  sleep 0.1
done
said; exit 1"""

ASKED = """\
body=%s; exec 3<>/dev/tcp/127.0.0.1/%s || exit
printf 'POST %s HTTP/1.0\\r\\nContent-Length: %%s\\r\\n\\r\\n%%s' "${#body}" "$body" >&3
answer=$(cat <&3); echo "$answer"; [[ $answer == *' 200 '* ]]"""


def readme(facts: Mapping[str, str]) -> Look:
    """The look that hardly anybody has to be told to take."""
    return Look(name="readme", call=shell("cat {place}/README.md"), obvious=True, facts=facts)


def asked(path: str, body: str, *, port: str = "{port}") -> Call:
    """Ask a service; an answer that is an error is a failure."""
    return shell(ASKED % (body, port, path))


def launched(program: str, *, place: str = "{place}", log: str) -> Call:
    """Start a service in the background, wait until it says that it answers, and show what it says if not."""
    return shell(SERVED % (place, log, log, program, log, log))


def denied(*, noticed: str = "listing") -> Snag:
    """Files that may not be read."""
    return Snag(
        name="denied",
        signs=(
            r"Permission denied: '(?P<file>[^']+)'",
            r"cannot read (?P<file>[^\s:]+): Permission denied",
            r"^(?:cat|sed|grep|cp|tar): (?P<file>[^\s:']+): Permission denied",
            r"cannot open '(?P<file>[^']+)' for reading: Permission denied",
            r"can't open file '(?P<file>[^']+)': \[Errno 13\]",
        ),
        noticed={noticed: r"^-{10} (?P<file>\S+)$"},
        mends=(shell("cd {place} && chmod u+rw {file}"),),
        evident_from=noticed,
    )


def absent(look: str = "") -> Snag:
    """Files that lie elsewhere; a look may tell why."""
    return Snag(
        name="absent",
        signs=(
            r"No such file or directory: '(?P<file>[^']+)'",
            r"cannot read (?P<file>[^\s:]+): No such file",
            r"^(?:cat|sed|grep|tar): (?P<file>[^\s:']+): No such file",
            r"cannot (?:stat|open) '(?P<file>[^']+)'[^\n]*: No such file",
            r"can't open file '(?P<file>[^']+)': \[Errno 2\]",
        ),
        needs=(look,) if look else (),
        mends=(
            shell(
                "cd {place} && "
                'lost="$(find ~ -path {place} -prune -o -type f -name "$(basename {file})" -print -quit)" '
                '&& cp "$lost" {file}'
            ),
        ),
        evident_from=look,
    )


def unpacked(*, into: str = "{place}", evident_from: str = "readme") -> Snag:
    """Modules that are not installed, of which there is an archive."""
    return Snag(
        name="package",
        signs=(r"No module named '(?P<module>\w+)'",),
        mends=(shell("tar -xzf {unpack!}/{module}-*.tar.gz -C " + into),),
        evident_from=evident_from,
    )


def locked(*, evident_from: str = "readme") -> Snag:
    """Locks that a process left behind."""
    return Snag(
        name="lock",
        signs=(r"(?P<lock>[\w/.-]+\.lock) (?:exists|is there)",),
        mends=(
            shell(
                "cd {place} && process=$(cat {lock}) && "
                '{ [ -e "/proc/$process" ] || rm {lock}; } && ls -l run'
            ),
        ),
        evident_from=evident_from,
    )
