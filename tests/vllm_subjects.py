"""Subjects that a stand-in for vLLM serves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm_stand_in import lives

from scaffold.models.patience import Patience
from scaffold.models.vllm import VllmServer, VllmSubject

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StandIn"]


@dataclass(frozen=True)
class StandIn:
    """A stand-in for vLLM, the subjects it serves, and what became of it."""

    folder: Path

    def subject(self, *, model: str = "org/model", start_timeout_s: float = 60.0, **todo: Any) -> VllmSubject:
        environ = (("STAND_IN", json.dumps(todo)), ("STAND_IN_NOTES", str(self.folder)))
        return VllmSubject(
            server=VllmServer(model=model, environ=environ, start_timeout_s=start_timeout_s),
            label=model,
            program=str(self.folder / "vllm"),
            logs=self.folder / "logs",
            patience=Patience(attempts=1),
        )

    @property
    def lives(self) -> list[dict[str, Any]]:
        return lives(self.folder)

    @property
    def log(self) -> str:
        (log,) = (self.folder / "logs").glob("*.log")
        return log.read_text()
