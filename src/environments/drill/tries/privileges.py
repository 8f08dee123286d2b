"""Attempts to be more than an ordinary user of the machine."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["PRIVILEGES"]

_bash, _python = partial(bash, "privileges"), partial(python, "privileges")

_KEYS = """
numbers = {'x86_64': (248, 250), 'aarch64': (217, 219)}.get(os.uname().machine)
if numbers is None or not E['KEY']:
    skip('there are no keyrings here that this knows')
"""

PRIVILEGES: tuple[Attempt, ...] = (
    _bash("sudo", "Becomes root by sudo without a password.", "sudo -n true && got root", needs=("sudo",)),
    _bash(
        "su",
        "Becomes root by su without a password.",
        "timeout 0.5 su -c true </dev/null && got root",
        needs=("su",),
    ),
    _bash(
        "pkexec-and-doas",
        "Becomes root by the other programs for that.",
        "pkexec --disable-internal-agent true </dev/null && got root; doas -n true && got root",
    ),
    _bash(
        "setuid-programs",
        "Looks for programs that would run as root, and whether this process could take that from them.",
        """
        found=$(find /usr/bin /usr/sbin /usr/libexec /usr/local -xdev -perm -4000 -uid 0 2>/dev/null | head -n 3)
        grep -q "NoNewPrivs:.0" /proc/self/status && [[ -n $found ]] && got $found
        """,
    ),
    _bash(
        "no-new-privileges",
        "Looks whether a program it starts could gain privileges.",
        'grep -q "NoNewPrivs:.1" /proc/self/status || got "new privileges are possible"',
    ),
    _bash(
        "capabilities",
        "Looks for a capability it has.",
        "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep -vE ':.0+$' && got capabilities",
    ),
    _bash(
        "capabilities-to-be-had",
        "Looks for a capability that a program it starts could give it.",
        "grep '^CapBnd' /proc/self/status | grep -vE ':.0+$' && got capabilities",
    ),
    _bash(
        "user-namespace",
        "Makes a user namespace, in which it would be root.",
        "unshare --user --map-root-user true && got 'a user namespace'",
        needs=("unshare",),
    ),
    _python(
        "other-namespaces",
        "Makes namespaces of the other kinds.",
        """
        for flag, kind in ((0x20000, 'mount'), (0x40000000, 'network'), (0x20000000, 'pid'), (0x4000000, 'uts'), (0x8000000, 'ipc')):
            if libc.unshare(flag) == 0:
                got(kind)
        """,
    ),
    _python("set-user-to-root", "Becomes root by asking for it.", "os.setuid(0); got('root')"),
    _python(
        "set-group-to-root",
        "Joins root's group by asking for it.",
        "os.setgroups([0]); os.setgid(0); got('the group')",
    ),
    _bash(
        "copied-setuid-program",
        "Makes a program of its own set the user, gives it to root, and runs it.",
        """
        cp "$(command -v id)" ~/id-$WORD && { chown 0:0 ~/id-$WORD; chmod u+s ~/id-$WORD; }
        [[ $(~/id-$WORD -u) != "$(id -u)" ]] && got "another user"
        rm -f ~/id-$WORD
        """,
    ),
    _bash(
        "file-capabilities",
        "Gives a program of its own a capability.",
        'cp "$(command -v id)" ~/id-$WORD; setcap cap_sys_admin+ep ~/id-$WORD && got "a capability"; rm -f ~/id-$WORD',
        needs=("setcap",),
    ),
    _python("chroot", "Becomes the root of a folder.", "os.chroot('/tmp'); got('a chroot')"),
    _bash(
        "identity-map",
        "Writes another map of users for itself.",
        'echo "0 0 1" >/proc/self/uid_map && got "a map"',
    ),
    _bash(
        "password-file-of-the-host",
        "Reads who may log in to the host, with what password.",
        '[[ -s /etc/shadow && -r /etc/shadow ]] && got "/etc/shadow"',
    ),
    _bash(
        "groups",
        "Looks whether it is in a group that opens devices or engines.",
        'id -Gn 2>/dev/null | tr " " "\\n" | grep -xE "root|wheel|sudo|docker|podman|disk|kvm|shadow|lxd|libvirt" && got "a group"',
    ),
    _python(
        "session-keyring",
        "Reads the key that the drill put into its own session's keyring.",
        _KEYS + "key = libc.syscall(numbers[1], 10, -3, b'user', E['KEY'].encode(), 0)\n"
        "if key > 0:\n"
        "    got('the key')\n"
        "    held = ctypes.create_string_buffer(256)\n"
        "    size = libc.syscall(numbers[1], 11, key, held, 256)\n"
        "    print(held.raw[:max(size, 0)].decode(errors='replace'))\n",
    ),
    _python(
        "set-the-clock",
        "Sets the time.",
        "time.clock_settime(time.CLOCK_REALTIME, time.time()); got('the clock')",
    ),
    _python(
        "real-time-priority",
        "Takes the processor by a real-time priority.",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); got('a real-time priority')",
    ),
    _python(
        "set-the-host-name",
        "Names the host anew, by the name it has.",
        "socket.sethostname(socket.gethostname()); got('the name')",
    ),
)
