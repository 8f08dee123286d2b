"""Attempts to see or touch a process that is not of the machine."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["PROCESSES"]

_bash, _python = partial(bash, "processes"), partial(python, "processes")

# A number can belong to another process in here: what counts is whether the name fits.
_VICTIM = """
def victim():
    with open(f'/proc/{E["VICTIM"]}/comm') as file:
        if file.read().strip() != E['VICTIM_NAME']:
            raise SystemExit
    return int(E['VICTIM'])
"""


def _touching(name: str, tries: str, text: str) -> Attempt:
    shaped = "\n".join(
        line.strip() if not line.startswith(" " * 9) else line[8:] for line in text.splitlines()
    )
    return _python(name, tries, f"{_VICTIM}\n{shaped}")


PROCESSES: tuple[Attempt, ...] = (
    _bash(
        "see-the-runner",
        "Looks for the process that runs the drill, by its number and when it was started.",
        """
        read -r line <"/proc/$RUNNER/stat" && fields=(${line##*)})
        [[ ${fields[19]} == "$RUNNER_STARTED" ]] && got "the runner"
        """,
    ),
    _bash(
        "see-by-name",
        "Looks through all processes it sees for the drill's decoy, by name.",
        '[[ -n $(grep -lxs "$VICTIM_NAME" /proc/[0-9]*/comm) ]] && got "the decoy"',
    ),
    _bash(
        "read-arguments",
        "Reads the decoy's arguments.",
        'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n" | grep -a drill-argument-',
    ),
    _bash(
        "read-environment",
        "Reads the decoy's environment.",
        'cat "/proc/$VICTIM/environ" | tr "\\0" "\\n" | grep -a drill-',
    ),
    _bash(
        "read-inherited-environment",
        "Looks for the runner's environment in its own and its ancestors'.",
        'cat /proc/self/environ /proc/1/environ /proc/$PPID/environ | tr "\\0" "\\n" | grep -a drill-; env | grep drill-',
    ),
    _touching(
        "read-memory",
        "Reads the decoy's memory.",
        """
        import re
        pid = victim()
        with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as memory:
            for area in maps:
                if '[heap]' in area:
                    first, last = (int(end, 16) for end in area.split()[0].split('-'))
                    memory.seek(first)
                    print(*re.findall(rb'drill-memory-[0-9a-f]+', memory.read(last - first)))
        """,
    ),
    _bash(
        "read-descriptors",
        "Reads the secret file through the decoy's open descriptor.",
        'cat "/proc/$VICTIM/fd/7"',
    ),
    _bash("kill-by-number", "Kills the decoy by its number on the host.", 'kill -KILL "$VICTIM"'),
    _bash("stop-by-number", "Stops the decoy by its number on the host.", 'kill -STOP "$VICTIM"'),
    _bash(
        "kill-by-name",
        "Kills whatever has the decoy's name.",
        """
        for comm in /proc/[0-9]*/comm; do
          read -r name <"$comm" && [[ $name == "$VICTIM_NAME" ]] && pid=${comm#/proc/} && kill -KILL "${pid%/comm}"
        done
        """,
    ),
    _touching(
        "kill-by-pidfd",
        "Kills the decoy by a descriptor of it.",
        "signal.pidfd_send_signal(os.pidfd_open(victim()), signal.SIGKILL)",
    ),
    _touching(
        "trace",
        "Attaches to the decoy as a debugger would, and lets it go.",
        """
        pid = victim()
        libc.ptrace.argtypes = [ctypes.c_long] * 4
        if libc.ptrace(16, pid, 0, 0) == 0:
            os.waitpid(pid, 0x40000000)
            libc.ptrace(17, pid, 0, 0)
            got('the decoy')
        """,
    ),
    _touching(
        "enter-its-namespaces",
        "Enters the namespaces of the decoy.",
        """
        pid = victim()
        for kind in ('user', 'net', 'mnt', 'pid', 'uts', 'ipc'):
            if libc.setns(os.open(f'/proc/{pid}/ns/{kind}', os.O_RDONLY), 0) == 0:
                got(kind)
        """,
    ),
    _touching(
        "change-its-priority",
        "Slows the decoy down.",
        "os.setpriority(os.PRIO_PROCESS, victim(), 15); got('its priority')",
    ),
    _touching(
        "change-its-limits",
        "Takes the decoy's limits away or gives it tighter ones.",
        "import resource; resource.prlimit(victim(), resource.RLIMIT_CORE, (0, 0)); got('its limits')",
    ),
    _bash(
        "offer-it-to-the-kernel",
        "Has the kernel end the decoy first when memory is short.",
        '[[ $(<"/proc/$VICTIM/comm") == "$VICTIM_NAME" ]] && echo 900 >"/proc/$VICTIM/oom_score_adj" && got "its score"',
    ),
    _bash(
        "signal-the-runner",
        "Asks whether it might signal the runner; no signal is sent.",
        """
        read -r line <"/proc/$RUNNER/stat" && fields=(${line##*)})
        [[ ${fields[19]} == "$RUNNER_STARTED" ]] && kill -0 "$RUNNER" && got "the runner"
        """,
    ),
    _bash(
        "stop-process-1",
        "Stops, then kills, process 1.",
        """
        kill -STOP 1; kill -KILL 1; sleep 0.1
        read -r line </proc/1/stat; fields=(${line##*)})
        [[ ${fields[0]} == T ]] && got "process 1 stands still"
        """,
    ),
    _bash(
        "kill-everything",
        "Kills every process that it may.",
        "kill -KILL -1",
        alone=True,
        reaches_its_user=True,
    ),
)
