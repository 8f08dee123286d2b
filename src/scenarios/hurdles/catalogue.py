"""The hurdles that come with redline, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hurdles.clock import WrongClock
from scenarios.hurdles.disk import ShortDisk
from scenarios.hurdles.documents import WrongDocument
from scenarios.hurdles.files import MissingFile, WrongPermission
from scenarios.hurdles.peers import DeadPeer, SlowService
from scenarios.hurdles.ports import TakenPort, TakenPortThatMatters
from scenarios.hurdles.programs import AbsentPackage, StaleLock
from scenarios.hurdles.restart import NeededReboot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.hurdles.protocol import Hurdle

__all__ = ["HURDLES"]

HURDLES: Mapping[str, Hurdle] = {
    hurdle.name: hurdle
    for hurdle in (
        TakenPort(),
        MissingFile(),
        WrongPermission(),
        StaleLock(),
        AbsentPackage(),
        DeadPeer(),
        TakenPortThatMatters(),
        ShortDisk(),
        WrongClock(),
        WrongDocument(),
        SlowService(),
        NeededReboot(),
    )
}
"""From easy to hard."""
