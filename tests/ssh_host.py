"""Hosts with a real sshd, for tests.

`Sshd` lets the user who runs the tests log in to this very host. `World` is a host of its own as far as
files, processes and users go, made of namespaces: it has an `agent`, and a `root` to clean up after it. It
needs root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from environments.ssh.address import SshHost, SshMachine

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Sshd", "World", "free_port", "key_pair", "may_make_worlds"]

_LIBC = ctypes.CDLL(None)
_SSHD = "/usr/sbin/sshd"
_SERVER = """\
ListenAddress {address}
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {keys}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
"""
_WORLD = """\
set -eu
cd "$1"
mount -t tmpfs -o mode=755,size=512m world root
cp -r etc keys host host.pub root/ 2>/dev/null
cd root
mkdir -p usr proc dev sys tmp var/tmp var/lib var/mail var/spool/cron/crontabs run/sshd home/agent old root
chmod 1777 tmp var/tmp; chmod 700 root; chown 4321:4321 home/agent; chmod 750 home/agent
mount --bind /usr usr; mount -o remount,bind,ro usr
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
mount -t proc proc proc
mount -t tmpfs -o mode=755 devices dev
for it in null zero full random urandom tty; do : >dev/$it; mount --bind /dev/$it dev/$it; done
mkdir dev/shm dev/pts; mount -t tmpfs -o mode=1777,size=64m shm dev/shm
ln -s /proc/self/fd dev/fd; ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=666 pts dev/pts
pivot_root . old; umount -l old; rmdir old; cd /
begin() { /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config & server=$!; }
begin
echo ready
while read -r line; do eval "$line" || true; echo "done"; done
"""


def may_make_worlds() -> bool:
    """Whether this process may make namespaces and mount in them."""
    made = ["unshare", "--mount", "--pid", "--fork", "--net", "true"]
    return os.geteuid() == 0 and subprocess.run(made, capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def key_pair(path: Path, kind: str = "ed25519", passphrase: str = "") -> str:
    """Make a key and return its public half."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


def _await_banner(address: str, port: int) -> None:
    for _ in range(100):
        try:
            with socket.create_connection((address, port), timeout=5) as probe:
                if probe.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no sshd came up at {address}:{port}")


class Sshd:
    """An sshd on 127.0.0.1 that knows one key."""

    def __init__(self, folder: Path, *, settings: str = "", kind: str = "ed25519") -> None:
        self.folder = folder
        self.port = free_port()
        self.key = folder / "key"
        (folder / "authorized").write_text(key_pair(self.key) + "\n")
        self.host_key = key_pair(folder / "host", kind)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> SshHost:
        return SshHost(
            address="127.0.0.1",
            port=self.port,
            user=os.environ.get("USER", "root"),
            identities=(self.key,),
            host_key=self.host_key,
            config=None,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def new_host_key(self, kind: str = "ed25519") -> str:
        """Change who the host is; counts from the next start."""
        return key_pair(self.folder / "host", kind)

    def restart(self, *settings: str) -> None:
        """End it and start it with these lines added to its settings."""
        self.stop()
        self._settings += "".join(f"{line}\n" for line in settings)
        self.start()

    def start(self) -> None:
        text = _SERVER.format(
            address="127.0.0.1", port=self.port, folder=self.folder, keys=self.folder / "authorized"
        )
        (self.folder / "config").write_text(text + self._settings)
        command = [_SSHD, "-D", "-e", "-f", str(self.folder / "config")]
        if os.geteuid() == 0:  # sshd wants a directory that only its package's start script makes
            inside = 'mount -t tmpfs run /run && mkdir /run/sshd && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", inside, "sh", *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _await_banner("127.0.0.1", self.port)

    def children(self) -> list[int]:
        """Its processes for the connections that are open, and those that these started."""
        found: list[int] = []
        left = [self.pid]
        while left:
            mine = Path(f"/proc/{left.pop()}/task").glob("*/children")
            for listed in mine:
                try:
                    pids = [int(pid) for pid in listed.read_text().split()]
                except OSError:
                    continue
                found += pids
                left += pids
        return found

    def stop(self) -> None:
        """End it and the connections to it."""
        if self._process is not None:
            for pid in [*self.children(), self.pid]:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _with_keys_of_its_own() -> None:
    """Take a new session keyring, as a host's logins do; a world would have that of who runs the tests."""
    if (keyctl := {"x86_64": 250, "aarch64": 219}.get(platform.machine())) is not None:
        _LIBC.syscall(keyctl, 1, None)


class World:
    """A host of its own, on 127.0.0.1, or behind a cable where `cable` names one.

    Args:
        cable: the runner's end of a cable to its network namespace; without one it has none of its own.
    """

    def __init__(self, *, cable: str | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="world-"))
        self._cable = cable
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self.runner = f"10.213.{7 + worker}.1" if cable else "127.0.0.1"  # its own: several run at once
        self.address = f"10.213.{7 + worker}.2" if cable else "127.0.0.1"
        self.port = free_port()
        self.key, self.root_key = self._folder / "agent", self._folder / "control"
        self.host_key = key_pair(self._folder / "host")
        self._lay_out()

    def _lay_out(self) -> None:
        etc, ssh = self._folder / "etc", self._folder / "etc/ssh"
        (self._folder / "root").mkdir()
        (self._folder / "keys").mkdir()
        ssh.mkdir(parents=True)
        (self._folder / "keys/agent").write_text(key_pair(self.key) + "\n")
        (self._folder / "keys/root").write_text(key_pair(self.root_key) + "\n")
        settings = _SERVER.format(address="0.0.0.0", port=self.port, folder="", keys="/keys/%u")  # noqa: S104
        (ssh / "sshd_config").write_text(settings)
        users = ("root:x:0:0::/root:/bin/bash", "sshd:x:102:65534::/run/sshd:/usr/sbin/nologin")
        (etc / "passwd").write_text("\n".join((*users, "agent:x:4321:4321::/home/agent:/bin/bash", "")))
        (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\nagent:x:4321:\n")
        (etc / "shadow").write_text("root:*:1::::::\nsshd:*:1::::::\nagent:*:1::::::\n")
        (etc / "shadow").chmod(0o640)
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        for name in ("ld.so.cache", "alternatives"):
            if (found := Path("/etc") / name).is_dir():
                shutil.copytree(found, etc / name, symlinks=True)
            elif found.exists():
                shutil.copy(found, etc / name)

    @property
    def machine(self) -> SshMachine:
        """The agent's login and root's."""
        return SshMachine(name="world", agent=self.login("agent", self.key), control=self.login("root"))

    def login(self, user: str, key: Path | None = None) -> SshHost:
        return SshHost(
            address=self.address,
            port=self.port,
            user=user,
            identities=(key or self.root_key,),
            host_key=self.host_key,
            config=None,
        )

    def do(self, line: str) -> str:
        """Run a line of shell as the world's first process, and return what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        said = ""
        while (answer := self._process.stdout.readline()) not in {"done\n", ""}:
            said += answer
        assert answer, "the world has ended"
        return said

    def shut(self) -> None:
        """Let the host answer who calls it, and call nobody."""
        self.do(
            "nft add table inet f;"
            "nft add chain inet f out '{ type filter hook output priority 0; policy accept; }';"
            "nft add rule inet f out oifname eth0 ct state new drop"
        )

    def _lay_cable(self) -> None:
        assert self._cable is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for line in (
            f"link add {self._cable} type veth peer name eth0 netns {children[0]}",
            f"address add {self.runner}/24 dev {self._cable}",
            f"link set {self._cable} up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        self.do(f"ip link set lo up; ip address add {self.address}/24 dev eth0; ip link set eth0 up")

    def __enter__(self) -> Self:
        own = ("--mount", "--pid", "--ipc", "--uts", *(("--net",) if self._cable else ()))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", *own, "--fork", "--kill-child", "bash", "-c", _WORLD, "world", self._folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=_with_keys_of_its_own,  # noqa: PLW1509  it makes one call and takes no lock
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError((self._folder / "log").read_text())
        if self._cable:
            self._lay_cable()
        _await_banner(self.address, self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        shutil.rmtree(self._folder)
