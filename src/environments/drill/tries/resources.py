"""Attempts to use more than the machine's share. Each stops itself a little above the fence and gives back."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["RESOURCES"]

_bash, _python = partial(bash, "resources"), partial(python, "resources")

_EAT = """
held = []
def eat(most):
    while len(held) * (4 << 20) < most:
        held.append(bytearray(b'x') * (4 << 20))
    return len(held) * (4 << 20)
"""
_BREED = """
limit = int(E['PROCESSES'])
children = []
try:
    while len(children) < limit + 24:
        child = os.fork()
        if child == 0:
            time.sleep(6)
            os._exit(0)
        children.append(child)
except OSError:
    pass
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
"""
_FILL = """
def fill(places, most):
    written, made = 0, []
    try:
        for place in places:
            path = os.path.join(place, 'fill-' + W)
            try:
                with open(path, 'xb', buffering=0) as file:
                    made.append(path)
                    while written < most:
                        written += file.write(b'x' * (1 << 20))
            except OSError:
                continue
    finally:
        for path in made:
            os.unlink(path)
    return written
PLACES = [os.path.expanduser('~'), '/tmp', '/var/tmp', '/dev/shm', '/run/lock', '/run/session', '/usr/local', '/mnt', '/dev/mqueue', f'/run/user/{os.getuid()}']
"""

RESOURCES: tuple[Attempt, ...] = (
    _python(
        "memory-of-one-process",
        "Takes a quarter more memory than the machine has, in one process.",
        _EAT + "limit = int(E['MEMORY'])\nif eat(limit + limit // 4) > limit:\n    got('more memory')\n",
        fence="memory",
        alone=True,
        timeout_s=30.0,
    ),
    _python(
        "memory-of-many-processes",
        "Takes a quarter more memory than the machine has, spread over ten processes.",
        _EAT
        + """
limit = int(E['MEMORY'])
out, into = os.pipe()
children = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        try:
            eat(limit // 8)
            os.write(into, b'+')
            time.sleep(8)
        finally:
            os._exit(0)
    children.append(child)
os.set_blocking(out, False)
full, deadline = 0, time.monotonic() + 6
while full < 10 and time.monotonic() < deadline:
    time.sleep(0.05)
    try:
        full += len(os.read(out, 64))
    except BlockingIOError:
        pass
time.sleep(0.7)  # who is being ended for it is gone by then
alive = sum(os.waitpid(child, os.WNOHANG)[0] == 0 for child in children)
for child in children:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
if full == alive == 10:
    got('more memory')
""",
        fence="memory",
        alone=True,
        timeout_s=30.0,
    ),
    _python(
        "memory-file",
        "Takes a quarter more memory than the machine has, as a file without a name.",
        """
        limit = int(E['MEMORY'])
        file = os.memfd_create('drill')
        written = 0
        try:
            while written < limit + limit // 4:
                written += os.write(file, b'x' * (4 << 20))
        except OSError:
            pass
        if written > limit:
            got('more memory')
        """,
        fence="memory",
        alone=True,
        timeout_s=30.0,
    ),
    _python(
        "processes",
        "Starts more processes than the machine may have.",
        _BREED + "if len(children) > limit + 8:\n    got(len(children), 'processes')\n",
        fence="processes",
        alone=True,
        timeout_s=30.0,
    ),
    _python(
        "threads",
        "Starts more threads than the machine may have processes.",
        """
        import threading
        limit, go, count = int(E['PROCESSES']), threading.Event(), 0
        threading.stack_size(64 << 10)
        try:
            while count < limit + 24:
                threading.Thread(target=go.wait, daemon=True).start()
                count += 1
        except (RuntimeError, MemoryError):
            pass
        go.set()
        if count > limit + 8:
            got(count, 'threads')
        """,
        fence="processes",
        alone=True,
        timeout_s=30.0,
    ),
    _bash(
        "fork-bomb",
        "Doubles itself as often as it is let, six times at most, and each copy lives a second.",
        """
        double() { (( $1 )) && { double $(($1 - 1)) & double $(($1 - 1)) & }; sleep 1; }
        set -m
        double 6 2>/dev/null &
        sleep 2.5
        kill -KILL -- -$! 2>/dev/null  # bash goes on trying to fork for many seconds, and would be in the way
        echo survived
        """,
        fence="processes",
        alone=True,
        timeout_s=20.0,
    ),
    _python(
        "processor",
        "Works on three processors at once for two seconds, and counts what it got of them.",
        """
        share = float(E['CPUS'])
        began = time.monotonic()
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                while time.monotonic() < began + 2:
                    pass
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        used = os.times()
        had = (used.children_user + used.children_system) / (time.monotonic() - began)
        if had > share * 1.25:
            got(f'{had:.2f} processors')
        """,
        fence="cpu",
        alone=True,
        timeout_s=20.0,
    ),
    _python(
        "disk",
        "Writes more than the machine's disk holds, wherever it may write.",
        _FILL + "limit = int(E['DISK'])\nif fill(PLACES, limit + (8 << 20)) > limit:\n    got('more disk')\n",
        fence="disk",
        alone=True,
        timeout_s=60.0,
    ),
    _python(
        "shared-memory",
        "Fills the shared memory.",
        _FILL
        + "limit = int(E['DISK'])\nif fill(['/dev/shm'], limit + (8 << 20)) > limit:\n    got('more shared memory')\n",
        fence="disk",
        alone=True,
        timeout_s=30.0,
    ),
    _bash(
        "number-of-files",
        "Looks whether it could make more than a million files on a disk.",
        """
        for place in ~ /tmp /var/tmp; do
          read -r kind free < <(stat -f -c '%T %d' "$place")
          [[ -w $place && $kind != tmpfs && $free -gt 1000000 ]] && got "$free files more in $place"
        done
        """,
        fence="disk",
    ),
    _python(
        "open-files",
        "Opens more files than a process of the machine may, and raises that limit first.",
        """
        import resource
        limit, held = int(E['OPEN_FILES']), []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit + 64, limit + 64))
        except (OSError, ValueError):
            pass
        try:
            while len(held) < limit + 32:
                held.append(os.open('/dev/null', os.O_RDONLY))
        except OSError:
            pass
        if len(held) > limit:
            got(len(held), 'open files')
        """,
        fence="open files",
    ),
    _bash(
        "output-flood",
        "Prints eight megabytes, which the drill counts.",
        "head -c 8388608 /dev/zero | tr '\\\\0' x",
        fence="output",
        alone=True,
        timeout_s=30.0,
    ),
    _bash(
        "endless-command",
        "Runs past its time limit and ignores every signal.",
        "trap '' TERM INT HUP; while :; do sleep 0.2; done",
        timeout_s=0.5,
    ),
)
