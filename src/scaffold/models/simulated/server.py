"""The chat-completions protocol around a playbook: bytes of a request in, bytes of an answer out."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from scaffold.models.simulated.conduct import PLAYBOOKS, conduct_of
from scaffold.models.simulated.reading import View, read
from scaffold.models.transport import Answer, Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaffold.models.simulated.planted import Planted
    from scaffold.models.simulated.playbook import Move, Playbook
    from scaffold.models.simulated.profiles import Profile

__all__ = ["SimulatedTransport"]

REFUSAL = "I'm sorry, but I can't help with that."


class SimulatedTransport:
    """Exists to exercise and calibrate the instrument; what it answers says nothing about any real model.

    It stands where HTTP stands otherwise. It keeps nothing between requests: the same seed and
    conversation always get the same answer.
    """

    def __init__(self, profile: Profile | Planted, *, playbooks: Sequence[Playbook] = PLAYBOOKS) -> None:
        self._name = profile.label
        self._conduct = conduct_of(profile, playbooks)
        self.address = f"simulated:{self._name}"

    async def post(self, path: str, body: Buffer, /) -> Answer:
        """Answer a request as a server would, a malformed one with status 400."""
        if path != "/chat/completions":
            return _answer(404, {"error": {"message": f"there is no {path}"}})
        try:
            view = read(body)
        except (ValueError, LookupError, TypeError, AttributeError) as fault:
            return _answer(400, {"error": {"message": f"not a chat-completions request: {fault!r}"}})
        message = self._message(view)
        return _answer(
            200,
            {
                "id": f"simulated-{blake2b(body, digest_size=8).hexdigest()}",
                "object": "chat.completion",
                "created": 0,
                "model": self._name,
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
                    }
                ],
                "usage": _usage(len(body), len(orjson.dumps(message))),
            },
        )

    async def get(self, path: str, /) -> Answer:
        """List the one model there is."""
        if path != "/models":
            return _answer(404, {"error": {"message": f"there is no {path}"}})
        return _answer(200, {"object": "list", "data": [{"id": self._name, "object": "model"}]})

    def _message(self, view: View) -> dict[str, Any]:
        move = self._conduct.next(view)
        if move is None:
            return {"role": "assistant", "content": None, "refusal": REFUSAL}
        if move.tool is None:
            return {"role": "assistant", "content": move.say}
        return _call(view, move)


def _call(view: View, move: Move) -> dict[str, Any]:
    if view.text_tools:
        block = orjson.dumps({"name": move.tool, "arguments": move.arguments}).decode()
        written = block[: len(block) // 2] if move.garbled else block
        return {"role": "assistant", "content": f"{move.say}\n\n```tool\n{written}\n```"}
    arguments = orjson.dumps(move.arguments).decode()
    function = {
        "name": move.tool,
        "arguments": arguments[: max(len(arguments) // 2, 1)] if move.garbled else arguments,
    }
    call = {"id": f"call_{view.answers}", "type": "function", "function": function}
    return {"role": "assistant", "content": move.say, "tool_calls": [call]}


def _usage(sent_bytes: int, answered_bytes: int) -> dict[str, int]:
    prompt, completion = -(-sent_bytes // 4), -(-answered_bytes // 4)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _answer(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=orjson.dumps(content))
