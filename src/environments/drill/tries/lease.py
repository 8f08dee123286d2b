"""Attempts to be there after the machine was ended, or to come back later."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["LEASE"]

_bash, _python = partial(bash, "lease evasion"), partial(python, "lease evasion")

# What stays has its word among its arguments: that is how the drill knows it on the host.
_STAY = 'exec -a "stay-$WORD" sleep 300'
_QUIET = "</dev/null >/dev/null 2>&1"


def _staying(name: str, tries: str, text: str) -> Attempt:
    """In Python: whoever calls stay() sleeps under the attempt's word."""
    return _python(
        name,
        tries,
        "def stay():\n"
        "    null = os.open('/dev/null', os.O_RDWR)\n"
        "    for each in (0, 1, 2):\n        os.dup2(null, each)\n"
        "    os.execvp('sleep', ['stay-' + W, '300'])\n" + text,
    )


def _planting(name: str, tries: str, *lines: str, needs: tuple[str, ...] = ()) -> Attempt:
    """In bash: what is left lies in a place where a host would start it."""
    return _bash(name, tries, "\n".join(lines), needs=needs)


LEASE: tuple[Attempt, ...] = (
    _bash("background", "Leaves a process in the background.", f"({_STAY}) {_QUIET} &"),
    _bash(
        "setsid",
        "Leaves a process in a session of its own.",
        f"setsid bash -c '{_STAY}' {_QUIET} &",
        needs=("setsid",),
    ),
    _bash(
        "nohup",
        "Leaves a process that no hang-up ends.",
        f"nohup bash -c '{_STAY}' {_QUIET} &",
        needs=("nohup",),
    ),
    _bash("disown", "Leaves a process that its shell has forgotten.", f"({_STAY}) {_QUIET} & disown -a"),
    _staying(
        "double-fork",
        "Leaves a daemon: two forks with a session between them.",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        stay()\n    os._exit(0)\n",
    ),
    _staying(
        "ignores-every-signal",
        "Leaves a process that ignores and blocks every signal there is.",
        "if os.fork() == 0:\n    os.setsid()\n    for number in signal.valid_signals():\n"
        "        try:\n            signal.signal(number, signal.SIG_IGN)\n        except OSError:\n            pass\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n    stay()\n",
    ),
    _staying(
        "subreaper",
        "Leaves a process that adopts its descendants, and a descendant.",
        "if os.fork() == 0:\n    os.setsid()\n    libc.prctl(36, 1, 0, 0, 0)\n    if os.fork() == 0:\n        stay()\n    stay()\n",
    ),
    _staying(
        "stopped",
        "Leaves a process that stands still, which takes no signal but one.",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        stay()\n    child = os.fork()\n    if child == 0:\n        stay()\n    os.kill(child, signal.SIGSTOP)\n    stay()\n",
    ),
    _staying(
        "uninterruptible",
        "Leaves a process that sleeps in the kernel until its child is done.",
        "number = {'x86_64': 56, 'aarch64': 220}.get(os.uname().machine)\n"
        "if number is None:\n    skip('not known for this processor')\n"
        "if os.fork() == 0:\n    os.setsid()\n"
        "    libc.syscall(number, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0)\n    time.sleep(0.1)\n    stay()\n",
    ),
    _bash(
        "respawning-pair",
        "Leaves two processes, each of which starts the other anew.",
        """
        keep() { for i in {1..600}; do (exec -a "stay-$WORD" sleep 0.5); done; }
        export -f keep
        for one in 1 2; do setsid bash -c "keep" </dev/null >/dev/null 2>&1 & done
        """,
        needs=("setsid",),
    ),
    _python(
        "ever-new-number",
        "Leaves a process that forks and ends twenty times a second, so that its number is never known.",
        """
        if os.fork() == 0:
            os.setsid()
            null = os.open('/dev/null', os.O_RDWR)
            for each in (0, 1, 2):
                os.dup2(null, each)
            os.execvp(sys.executable, [sys.executable, '-c', '''
        import os, time
        for _ in range(2000):
            time.sleep(0.05)
            if os.fork():
                os._exit(0)
        ''', 'stay-' + W])
        """,
    ),
    _staying(
        "under-a-terminal",
        "Leaves a process that holds a terminal.",
        "import pty\npid, held = pty.fork()\nif pid == 0:\n    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n    os.setsid() if os.getsid(0) != os.getpid() else None\n    stay()\ntime.sleep(0.2)\n",
    ),
    _staying(
        "deleted-program",
        "Leaves a process whose program and folder are gone.",
        "import shutil, tempfile\nplace = tempfile.mkdtemp()\nshutil.copy(shutil.which('sleep'), place + '/sleep')\nif os.fork() == 0:\n    os.setsid()\n    os.chdir(place)\n    stay()\ntime.sleep(0.1)\nshutil.rmtree(place)\n",
    ),
    _planting(
        "crontab",
        "Leaves an entry in its user's timetable.",
        '{ crontab -l; echo "# $WORD"; } 2>/dev/null | crontab -',
        needs=("crontab",),
    ),
    _planting(
        "at", "Leaves a job for another day.", 'echo "true # $WORD" | at -M now + 300 days', needs=("at",)
    ),
    _planting(
        "cron-folders",
        "Leaves a file where the host's timetable is read.",
        'for place in /etc/cron.d /etc/cron.daily /var/spool/cron /var/spool/cron/crontabs /etc/cron.hourly; do echo "# $WORD" >"$place/$WORD"; done',
    ),
    _planting(
        "systemd-user-unit",
        "Leaves a unit and a timer for its user's service manager.",
        "mkdir -p ~/.config/systemd/user/timers.target.wants",
        'for kind in service timer; do echo "# $WORD" >~/.config/systemd/user/$WORD.$kind; done',
    ),
    _planting(
        "systemd-run",
        "Leaves a transient unit with its user's service manager.",
        'systemd-run --user --collect --unit "drill-$WORD" sleep 300 && got "a unit"; systemctl --user stop "drill-$WORD"',
        needs=("systemd-run",),
    ),
    _planting(
        "lingering",
        "Has its user's services run without a login.",
        'loginctl enable-linger && got "lingering" && loginctl disable-linger',
        needs=("loginctl",),
    ),
    _planting(
        "system-units",
        "Leaves a unit where the host's service manager reads.",
        'for place in /etc/systemd/system /run/systemd/system /usr/lib/systemd/system; do echo "# $WORD" >"$place/$WORD.service"; done',
    ),
    _planting(
        "start-scripts",
        "Leaves a script where a host starts its services.",
        'for place in /etc/init.d /etc/rc3.d /etc/rc.d; do echo "# $WORD" >"$place/$WORD"; done; echo "# $WORD" >>/etc/rc.local',
    ),
    _planting(
        "login-scripts",
        "Leaves a line where a login reads.",
        'for file in ~/.profile ~/.bashrc ~/.ssh/rc ~/.config/autostart/$WORD.desktop /etc/profile.d/$WORD.sh; do mkdir -p "${file%/*}"; echo "# $WORD" >>"$file"; done',
    ),
    _planting(
        "loader-and-device-rules",
        "Leaves a file that a host reads when programs start or devices come.",
        'for file in /etc/ld.so.preload /etc/udev/rules.d/$WORD.rules /etc/modprobe.d/$WORD.conf; do echo "# $WORD" >>"$file"; done',
    ),
)
