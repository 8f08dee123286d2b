"""A study's folder: the frozen design, one log per trial, and the ledger of all attempts.

    runs/<study>/
        study.json                     the frozen design and its digest, written before the first trial
        study.py                       a copy of the script the study was started from
        ledger.jsonl                   every attempt's start and end
        trials/<key>.jsonl             the log of a trial's latest attempt
        trials/<key>.attempt-N.jsonl   logs of attempts that were void or interrupted
        report.*                       rendered from the logs, at any time

The logs are the truth: everything else but the design can be made again from them.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from ablation.errors import FolderBusy, FolderFault, OtherStudy, RecordFault
from ablation.frozen import FrozenDesign
from ablation.record import END, digest, last_line
from ablation.types import TrialRecord
from ablation.untrusted import inert_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Origin", "StudyFolder", "hold", "read_record"]

_MADE_BEFORE_THE_DESIGN = {".lock", "study.py", "study.json.new", "trials"}


class Origin(BaseModel):
    """How a study was started, so that `redline resume` can build it again."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["script", "command", "python", "replay"] = "python"
    """`redline ablate SCRIPT`, `redline run`, `run_study` called by a program, or `redline replay`."""
    script: str = ""
    """Where the script was."""
    script_digest: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Of the command, as parsed."""


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep other runners out of a folder, which is made if there is none.

    Raises:
        FolderBusy: another runner is in.
        FolderFault: the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise FolderFault(f"cannot use {path} as the study's folder: {fault.strerror}") from fault
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode(errors="replace").strip()
        os.close(file)
        raise FolderBusy(
            f"another redline (process {holder}) is running the study in {path}; wait for it or stop it"
        ) from None
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


@dataclass(frozen=True, kw_only=True)
class StudyFolder:
    """A folder that holds a study."""

    path: Path
    frozen: FrozenDesign
    origin: Origin

    @classmethod
    def enter(
        cls, path: Path, frozen: FrozenDesign, *, origin: Origin, script: bytes | None = None
    ) -> StudyFolder:
        """Make `path` this study's folder, or find that it is already. The caller holds it.

        Raises:
            OtherStudy: the folder holds something else.
            FolderFault: it cannot be written.
        """
        if (path / "study.json").exists():
            present = cls.load(path)
            present.refuse_other(frozen)
            return present
        _refuse_strangers(path)
        try:
            (path / "trials").mkdir(exist_ok=True)
            if script is not None:
                (path / "study.py").write_bytes(script)
            folder = cls(path=path, frozen=frozen, origin=origin)
            folder._write_design()
        except OSError as fault:
            raise FolderFault(f"cannot write the design to {path}: {fault.strerror}") from fault
        return folder

    @classmethod
    def load(cls, path: Path) -> StudyFolder:
        """Read the design back.

        Raises:
            FolderFault: there is no study.
            RecordFault: the design is not what was written.
        """
        try:
            stored = orjson.loads((path / "study.json").read_bytes())
            frozen = FrozenDesign.of(stored["design"])
            origin = Origin.model_validate(stored["origin"])
        except FileNotFoundError:
            raise FolderFault(f"{path} holds no study (no study.json)") from None
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise RecordFault("study.json", f"cannot be read: {fault}") from fault
        if frozen.digest != stored["digest"]:
            raise RecordFault("study.json", "the design was edited: its digest is another")
        return cls(path=path, frozen=frozen, origin=origin)

    def _write_design(self) -> None:
        content = {
            "design": self.frozen.fields,
            "digest": self.frozen.digest,
            "origin": self.origin.model_dump(mode="json"),
        }
        new = self.path / "study.json.new"
        with new.open("wb") as file:
            plain = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            file.write(inert_json(plain))
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.path / "study.json")

    def refuse_other(self, frozen: FrozenDesign) -> None:
        """Make sure that `frozen` is the design in this folder.

        Raises:
            OtherStudy: it is another; the message says in what.
        """
        if frozen.digest == self.frozen.digest:
            return
        changes = self.frozen.changed(frozen)
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise OtherStudy(
            f"the design in {self.path} is another ({'; '.join(changes[:3])}{more}): "
            f"choose another folder, or undo the change and `redline resume {self.path}`"
        )

    @property
    def design(self) -> dict[str, Any]:
        """The design with its digest, as reports take it."""
        return {**self.frozen.fields, "digest": self.frozen.digest}

    @property
    def keys(self) -> list[str]:
        """Every trial of the design, in the order of work."""
        return [str(key) for key in self.frozen.fields["order"]]

    @property
    def ledger(self) -> Path:
        """Where the ledger is."""
        return self.path / "ledger.jsonl"

    def log(self, key: str) -> Path:
        """Where the log of a trial's latest attempt is."""
        return self.path / "trials" / f"{key}.jsonl"

    def log_of_attempt(self, key: str, attempt: int) -> Path:
        """Where the log of an attempt is once a later one has begun."""
        return self.path / "trials" / f"{key}.attempt-{attempt}.jsonl"

    def log_holding(self, key: str, attempt: int) -> Path:
        """Where the log of an attempt is now: set aside, or else under the trial's own name."""
        aside = self.log_of_attempt(key, attempt)
        return aside if aside.exists() else self.log(key)

    def record(self, key: str) -> TrialRecord | None:
        """Read a trial's result from the end of its log; None where it has none yet."""
        path = self.log(key)
        return read_record(path, name=path.relative_to(self.path).as_posix()) if path.exists() else None

    def records(self) -> list[TrialRecord]:
        """Read all results there are, in the order of work, from the logs alone."""
        return [record for key in self.keys if (record := self.record(key)) is not None]

    @property
    def design_file_digest(self) -> str:
        """Digest of `study.json` as it stands."""
        return digest((self.path / "study.json").read_bytes())


def read_record(path: Path, *, name: str) -> TrialRecord | None:
    """Read the result at the end of a log; None where the log has no end.

    Raises:
        RecordFault: the last line is not what redline writes.
    """
    line = last_line(path)
    if line is None:
        return None
    try:
        event = orjson.loads(line)
        if event["kind"] != END:
            return None
        return TrialRecord.model_validate({**event["record"], "log": name})
    except (ValueError, KeyError, TypeError) as fault:
        raise RecordFault(
            name, "the last line cannot be read: `redline verify` says where it broke"
        ) from fault


def _refuse_strangers(path: Path) -> None:
    strangers = {entry.name for entry in path.iterdir()} - _MADE_BEFORE_THE_DESIGN
    trials = path / "trials"
    if strangers or (trials.is_dir() and any(trials.iterdir())):
        raise OtherStudy(f"{path} is not empty and holds no study: choose another folder")
