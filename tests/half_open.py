"""Sandboxes with exactly one hole, to see that the drill finds that hole and no other.

Each is the real sandbox, with one argument of bubblewrap or one fence left out. They exist in tests alone.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from environments import processes
from environments.sandbox import fences, provider
from environments.sandbox.fences import Fence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

__all__ = [
    "keeping_capabilities",
    "sharing_a_folder",
    "sharing_processes",
    "sharing_the_keyring",
    "sharing_the_network",
    "without_groups",
]

_NAMESPACES = ("--unshare-user", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")


def _instead(monkeypatch: pytest.MonkeyPatch, old: str, *new: str) -> None:
    argv = provider._BUBBLEWRAP
    assert old in argv
    at = argv.index(old)
    monkeypatch.setattr(provider, "_BUBBLEWRAP", (*argv[:at], *new, *argv[at + 1 :]))


def sharing_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    _instead(monkeypatch, "--unshare-all", *_NAMESPACES, "--unshare-pid")


@contextmanager
def sharing_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without a pid namespace: the host's process table, and nothing that ends with a first process."""
    _instead(monkeypatch, "--unshare-all", *_NAMESPACES, "--unshare-net")
    _instead(monkeypatch, "--as-pid-1")
    _instead(monkeypatch, "--proc", "--bind", "/proc")
    raised: list[Fence] = []

    def raise_and_note(*given: Any, **named: Any) -> Fence:
        raised.append(fences.raise_fence(*given, **named))
        return raised[-1]

    monkeypatch.setattr(provider, "raise_fence", raise_and_note)
    try:
        yield
    finally:
        for fence in raised:
            for _, group in fence.groups:
                with suppress(OSError):
                    group.rmdir()


def sharing_a_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    _instead(monkeypatch, "--chdir", "--bind", str(folder), str(folder), "--chdir")


def keeping_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = provider._BUBBLEWRAP
    at = argv.index("--cap-drop")
    kept = ("--cap-add", "ALL")
    monkeypatch.setattr(provider, "_BUBBLEWRAP", (*argv[:at], *kept, *argv[at + 2 :]))


def without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "raise_fence", lambda *_, **__: Fence(groups=()))


def sharing_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_leave_the_session_keyring", lambda: None)
