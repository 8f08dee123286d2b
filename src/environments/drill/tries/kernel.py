"""Attempts to configure the kernel, or to be let in by a door it keeps. Nothing is ever written: it is opened."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["KERNEL"]

_bash, _python = partial(bash, "kernel interfaces"), partial(python, "kernel interfaces")


def _writable(name: str, tries: str, *paths: str) -> Attempt:
    return _python(
        name,
        tries,
        f"import glob\nfor path in [found for each in {paths!r} for found in glob.glob(each)]:\n"
        "    try:\n        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))\n        got(path)\n"
        "    except OSError:\n        pass",
    )


def _readable(name: str, tries: str, *paths: str) -> Attempt:
    return _python(
        name,
        tries,
        f"for path in {paths!r}:\n"
        "    try:\n        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))\n        got(path)\n"
        "    except OSError:\n        pass",
    )


def _call(name: str, tries: str, numbers: dict[str, int], arguments: str, before: str = "") -> Attempt:
    return _python(
        name,
        tries,
        f"number = {numbers!r}.get(os.uname().machine)\n"
        "if number is None:\n    skip('not known for this processor')\n"
        f"{before}\n"
        f"if libc.syscall(number, {arguments}) >= 0:\n    got('leave')",
    )


KERNEL: tuple[Attempt, ...] = (
    _python(
        "kernel-settings",
        "Opens the kernel's settings for writing, but for those that belong to namespaces of its own.",
        """
        import glob
        own = ('auto_msgmni', 'msg', 'sem', 'shm', 'ns_last_pid', 'pid_max', 'hostname', 'domainname')
        for path in (found for each in ('kernel', 'vm', 'fs') for found in glob.glob(f'/proc/sys/{each}/*')):
            if os.path.basename(path).startswith(own):
                continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                got(path)
            except OSError:
                pass
        """,
    ),
    _writable(
        "network-settings",
        "Opens the network's settings for writing.",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/conf/*/*",
        "/proc/sys/net/core/*",
    ),
    _writable("magic-keys", "Opens what takes the emergency commands.", "/proc/sysrq-trigger"),
    _writable(
        "core-pattern",
        "Opens the setting of what program the host starts on a crash.",
        "/proc/sys/kernel/core_pattern",
    ),
    _writable(
        "module-loader",
        "Opens the setting of what program the host starts to load a module.",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/hotplug",
        "/sys/kernel/uevent_helper",
    ),
    _writable(
        "program-formats",
        "Opens the register of what starts which kind of program.",
        "/proc/sys/fs/binfmt_misc/register",
    ),
    _writable(
        "pressure-and-interrupts",
        "Opens what steers interrupts.",
        "/proc/irq/*/smp_affinity",
        "/proc/acpi/wakeup",
    ),
    _writable(
        "kernel-objects",
        "Opens the kernel's objects for writing.",
        "/sys/kernel/*",
        "/sys/kernel/mm/*/*",
        "/sys/module/*/parameters/*",
        "/sys/power/*",
        "/sys/bus/*/*",
        "/sys/class/*/*/uevent",
    ),
    _writable(
        "firmware-variables", "Opens the firmware's variables for writing.", "/sys/firmware/efi/efivars/*"
    ),
    _writable(
        "control-groups",
        "Opens its own fences, or others', for writing.",
        "/sys/fs/cgroup/*.*",
        "/sys/fs/cgroup/*/*.*",
        "/sys/fs/cgroup/*/redline/*",
        "/sys/fs/cgroup/*/redline/*/*",
    ),
    _writable(
        "release-agent",
        "Opens the setting of what program the host starts when a control group empties.",
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/*/release_agent",
    ),
    _readable(
        "physical-memory",
        "Opens the machine's memory as a file.",
        "/dev/mem",
        "/dev/kmem",
        "/dev/port",
        "/proc/kcore",
    ),
    _readable("kernel-log", "Reads the kernel's log.", "/dev/kmsg"),
    _call(
        "kernel-log-by-call",
        "Reads the kernel's log by a call.",
        {"x86_64": 103, "aarch64": 116},
        "3, ctypes.create_string_buffer(64), 64",
    ),
    _readable(
        "device-makers",
        "Opens the devices that make devices.",
        "/dev/net/tun",
        "/dev/loop-control",
        "/dev/fuse",
        "/dev/uinput",
        "/dev/btrfs-control",
        "/dev/mapper/control",
        "/dev/vhost-net",
        "/dev/vhost-vsock",
    ),
    _readable("hypervisor", "Opens the hypervisor's device.", "/dev/kvm"),
    _readable(
        "debug-file-systems",
        "Looks into the kernel's debugging file systems.",
        "/sys/kernel/debug/tracing",
        "/sys/kernel/tracing/trace",
        "/sys/kernel/debug/kprobes",
    ),
    _bash(
        "symbol-addresses",
        "Reads where the kernel's symbols lie.",
        "grep -vqE '^0+ ' /proc/kallsyms && got addresses",
    ),
    _python(
        "load-a-module",
        "Asks to load a module of no bytes, and hears whether it might.",
        """
        number = {'x86_64': 175, 'aarch64': 105}.get(os.uname().machine)
        if number and libc.syscall(number, 0, 0, b'') != 0 and ctypes.get_errno() == errno.ENOEXEC:
            got('leave')
        """,
    ),
    _call(
        "bpf",
        "Makes a map for programs that run in the kernel.",
        {"x86_64": 321, "aarch64": 280},
        "0, what, len(what)",
        "import struct; what = ctypes.create_string_buffer(struct.pack('IIII', 2, 4, 8, 1) + b'\\0' * 56)",
    ),
    _call(
        "performance-counters",
        "Opens a counter that watches the whole machine.",
        {"x86_64": 298, "aarch64": 241},
        "what, -1, 0, -1, 0",
        "import struct; what = ctypes.create_string_buffer(struct.pack('IIQQQQ', 1, 112, 0, 0, 0, 0) + b'\\0' * 80)",
    ),
    _call(
        "asynchronous-calls",
        "Makes a ring for calls that the kernel makes in its stead.",
        {"x86_64": 425, "aarch64": 425},
        "4, ctypes.create_string_buffer(120)",
    ),
    _call(
        "page-faults-in-user-space",
        "Takes over how memory is faulted in, the kernel's own accesses included.",
        {"x86_64": 323, "aarch64": 282},
        "0",
    ),
    _python(
        "swap",
        "Asks to swap to a file that does not exist, and hears whether it might.",
        """
        if libc.swapon(b'/nonexistent', 0) != 0 and ctypes.get_errno() == errno.ENOENT:
            got('leave')
        """,
    ),
)
