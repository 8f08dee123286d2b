"""Takes a PCI device from its driver for a virtual machine, and gives it back, also after a crash.

Before the first change a journal of the device says on disk which driver it had. Its owner holds a lock on it
for as long as it lives, so a journal without a lock is one of a dead owner, and whoever finds it gives the
device back. The same lock keeps two owners apart.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from environments.errors import Broken, EnvironmentFault, Unavailable
from environments.vm.sysfs import PciDevice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from environments.vm.sysfs import Host

__all__ = ["VFIO", "Hold", "Returned", "give_back_what_is_left", "group_node", "take", "until"]

VFIO = "vfio-pci"
_PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class _Journal:
    """What is to be restored."""

    driver: str | None
    override: str
    boot_id: str
    """Drivers are bound anew when the host is booted: an older journal has nothing to say."""
    pid: int


class Returned(NamedTuple):
    """A device that a dead owner had left behind."""

    address: str
    driver: str | None
    fault: str = ""
    """Why it could not be given back; nothing where it was."""


class Hold:
    """A device that is ours until it is given back."""

    def __init__(self, host: Host, device: PciDevice, journal: _Journal, lock: int) -> None:
        self.device = device
        self._host = host
        self._journal = journal
        self._lock = lock

    def bind(self) -> None:
        """Take the device from its driver.

        Raises:
            Unavailable: we may not, or the kernel does not.
        """
        device = self.device
        if device.driver == VFIO:
            return
        try:
            (device.path / "driver_override").write_text(f"{VFIO}\n")
            _unbind(device)
            (self._host.pci / "drivers_probe").write_text(f"{device.address}\n")
        except PermissionError as error:
            raise Unavailable(
                f"{device} may not be taken from {device.driver or 'the kernel'} by this user",
                mend=f"sudo driverctl set-override {device.address} {VFIO}, once, or run as root",
            ) from error
        except OSError as error:
            raise Unavailable(
                f"the kernel does not take {device} from {device.driver}: {error.strerror}",
                mend="`sudo dmesg` says why; end what uses it",
            ) from error
        if not until(lambda: device.driver == VFIO, patience_s=_PATIENCE_S):
            raise Unavailable(
                f"{VFIO} does not take {device}", mend=f"`sudo dmesg | grep {device.address}` says why"
            )

    def give_back(self) -> None:
        """Give the device back to the driver it came from and forget about it.

        Raises:
            Broken: it stays as it is, and so does its journal: the next start tries again.
        """
        path = _path(self._host, self.device.address)
        try:
            if self.device.path.exists():
                _restore(self._host, self.device, self._journal)
            path.unlink()
            _sync(path.parent)
        finally:
            os.close(self._lock)


def take(host: Host, device: PciDevice) -> Hold:
    """Make a device ours, after giving back what a dead owner of it left. Nothing is bound yet.

    Raises:
        Unavailable: another machine has it, or no journal can be kept.
        Broken: a dead owner's device cannot be given back.
    """
    path = _path(host, device.address)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path)
        if lock is None:
            owner = _pid_in(path)
            raise Unavailable(
                f"{device} is handed to another machine{owner}", mend="end it, or choose another GPU"
            )
    except OSError as error:
        raise Unavailable(f"no journal can be kept in {path.parent}: {error.strerror}") from error
    try:
        left = _read(host, lock)
        if left is not None and device.path.exists():
            _restore(host, device, left)
        journal = _Journal(
            driver=device.driver, override=device.override, boot_id=_boot_id(host), pid=os.getpid()
        )
        _write(lock, journal, path.parent)
    except BaseException:
        os.close(lock)
        raise
    return Hold(host, device, journal, lock)


def give_back_what_is_left(host: Host) -> list[Returned]:
    """Give back every device whose owner died without doing so."""
    found = []
    folder = host.state / "passthrough"
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        lock = _locked(path)
        if lock is None:
            continue
        device = PciDevice(path.stem, host.pci / "devices" / path.stem)
        left = _read(host, lock)
        hold = Hold(host, device, left or _unchanged(device), lock)
        try:
            hold.give_back()
        except (EnvironmentFault, OSError) as fault:
            found.append(Returned(path.stem, left.driver if left else None, str(fault)))
        else:
            if left is not None:
                found.append(Returned(path.stem, left.driver))
    return found


def group_node(host: Host, group: int) -> Path:
    """Return the file through which a group is handed to a machine."""
    return host.dev / "vfio" / str(group)


def _restore(host: Host, device: PciDevice, journal: _Journal) -> None:
    """Put the device where the journal says it was.

    Raises:
        Broken: a machine still holds it, or its driver does not take it.
    """
    if (device.driver, device.override) == (journal.driver, journal.override):
        return
    # Unbinding would wait inside the kernel for the last user, for ever if need be.
    if device.group is not None and (users := host.holders({str(group_node(host, device.group))})):
        names = ", ".join(map(str, users))
        raise Broken(f"{device} cannot be given back: {names} still holds it; end it", by_agent=False)
    try:
        (device.path / "driver_override").write_text(f"{journal.override}\n")
        if device.driver != journal.driver:
            _unbind(device)
            if journal.driver is not None:
                (host.pci / "drivers" / journal.driver / "bind").write_text(f"{device.address}\n")
    except OSError as error:
        raise Broken(_not_taken_back(device, journal.driver, str(error.strerror)), by_agent=False) from error
    if not until(lambda: device.driver == journal.driver, patience_s=_PATIENCE_S):
        raise Broken(_not_taken_back(device, journal.driver, "it did not take it"), by_agent=False)


def _not_taken_back(device: PciDevice, driver: str | None, why: str) -> str:
    mend = f"sudo modprobe {driver}" if driver else "`sudo dmesg` says why"
    return f"{device} could not be given back to {driver or 'no driver'} ({why}); {mend}"


def _unbind(device: PciDevice) -> None:
    with suppress(FileNotFoundError):  # it has no driver
        (device.path / "driver" / "unbind").write_text(f"{device.address}\n")
    if not until(lambda: device.driver is None, patience_s=_PATIENCE_S):
        raise OSError(0, f"{device.driver} does not let it go")


def until(condition: Callable[[], bool], *, patience_s: float) -> bool:
    """Wait, in a thread, for what the kernel or udev does a moment later."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _path(host: Host, address: str) -> Path:
    return host.state / "passthrough" / f"{address}.json"


def _locked(path: Path) -> int | None:
    """Open a journal and lock it; None where its owner lives."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # An owner that was done may have removed the file between our opening and locking it.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(fd)):
                return fd
            os.close(fd)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise


def _read(host: Host, lock: int) -> _Journal | None:
    """Return what a dead owner left; None where it had changed nothing, or the host was booted since."""
    with suppress(ValueError, TypeError):  # cut short: it died before its first change
        journal = _Journal(**json.loads(os.pread(lock, 4096, 0)))
        return journal if journal.boot_id == _boot_id(host) else None
    return None


def _write(lock: int, journal: _Journal, folder: Path) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(asdict(journal)).encode(), 0)
    os.fsync(lock)
    _sync(folder)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _pid_in(path: Path) -> str:
    with suppress(ValueError, OSError, KeyError):
        return f" of process {json.loads(path.read_text())['pid']}"
    return ""


def _unchanged(device: PciDevice) -> _Journal:
    there = device.path.exists()
    return _Journal(
        driver=device.driver if there else None,
        override=device.override if there else "",
        boot_id="",
        pid=0,
    )


def _boot_id(host: Host) -> str:
    return (host.proc / "sys/kernel/random/boot_id").read_text().strip()
