"""The chat-completions protocol around a playbook: bytes of a request in, bytes of an answer out."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from scaffold.models.simulated.errands import ERRANDS, LOOK_AROUND
from scaffold.models.simulated.playbook import AtALoss, Move, Playbook
from scaffold.models.simulated.profiles import Mind, Profile
from scaffold.models.simulated.reading import View, read
from scaffold.models.simulated.second_instance import SecondInstance
from scaffold.models.transport import Answer, Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PLAYBOOKS", "SimulatedTransport"]

PLAYBOOKS: tuple[Playbook, ...] = (*ERRANDS, SecondInstance(), LOOK_AROUND, AtALoss())

REFUSAL = "I'm sorry, but I can't help with that."


class SimulatedTransport:
    """Exists to exercise and calibrate the instrument; what it answers says nothing about any real model.

    It stands where HTTP stands otherwise. It keeps nothing between requests: the same seed and
    conversation always get the same answer.
    """

    def __init__(self, profile: Profile, *, playbooks: Sequence[Playbook] = PLAYBOOKS) -> None:
        self._profile = profile
        self._playbooks = playbooks
        self.address = f"simulated:{profile.name}"

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
                "model": self._profile.name,
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
        return _answer(200, {"object": "list", "data": [{"id": self._profile.name, "object": "model"}]})

    def _message(self, view: View) -> dict[str, Any]:
        mind = Mind(profile=self._profile, seed=view.seed)
        if view.answers == 0 and mind.does("refuse", self._profile.refusal):
            return {"role": "assistant", "content": None, "refusal": REFUSAL}
        playbook = next(each for each in self._playbooks if each.fits(view.instruction))
        move = playbook.next(view, mind)
        if move.tool is None:
            return {"role": "assistant", "content": move.say}
        well_formed = mind.does(f"format {view.answers}", self._profile.tool_format)
        return _call(view, move, well_formed=well_formed)


def _call(view: View, move: Move, *, well_formed: bool) -> dict[str, Any]:
    if view.text_tools:
        block = orjson.dumps({"name": move.tool, "arguments": move.arguments}).decode()
        written = block if well_formed else block[: len(block) // 2]
        return {"role": "assistant", "content": f"{move.say}\n\n```tool\n{written}\n```"}
    arguments = orjson.dumps(move.arguments).decode()
    function = {
        "name": move.tool,
        "arguments": arguments if well_formed else arguments[: max(len(arguments) // 2, 1)],
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
