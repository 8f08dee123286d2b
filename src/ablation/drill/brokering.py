"""Attempts at the one way to a model: with keys that are others', and for more than is given.

They call the broker's door inside the machine. Its subject is one of the drill's own that watches who gets
through; an attempt got out if it was answered where it must not be, or if it was not put on record.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from environments.drill.attempt import Attempt, python
from environments.errors import Unavailable
from scaffold import Broker, Budget
from scaffold.broker import census_of, open_door
from scaffold.broker.door import MOST_AT_ONCE
from scaffold.models import parse_subject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from environments import Lease
    from scaffold.broker import Door, Lineage
    from scaffold.protocols import RelayingModel
    from scaffold.types import Relayed

__all__ = ["BROKER", "LINEAGE", "furnish"]

_PORT = 28_400
_STEPS = 24
_SLOWLY_S = 0.1

_CALL = """
import http.client, json
def call(key, body=None, path='/v1/chat/completions', method='POST', model='drill'):
    if not E['DOOR']:
        skip(E['NO_DOOR'])
    asked = {'model': model, 'messages': [{'role': 'user', 'content': W}]}
    body = json.dumps(asked) if body is None else body
    door = http.client.HTTPConnection('127.0.0.1', int(E['DOOR']), timeout=8)
    head = {'Content-Type': 'application/json', **({'Authorization': 'Bearer ' + key} if key else {})}
    door.request(method, path, body, head)
    answer = door.getresponse()
    return answer.status, answer.read()
"""


def _calling(kind: str, name: str, tries: str, text: str, **more: Any) -> Attempt:
    return python(kind, name, tries, _CALL + text, **more)  # type: ignore[arg-type]


_forging, _abusing = partial(_calling, "lineage forgery"), partial(_calling, "broker abuse")

LINEAGE: tuple[Attempt, ...] = (
    _forging("made-up-key", "Calls with a key that nobody was given.", "call('sk-' + W)"),
    _forging("key-of-another-trial", "Calls with the key of another trial's agent.", "call(E['OTHER_KEY'])"),
    _forging("revoked-key", "Calls with a key that was taken back.", "call(E['REVOKED_KEY'])"),
    _forging("key-of-a-descendant", "Calls with the key of the next generation.", "call(E['CHILD_KEY'])"),
    _forging(
        "higher-generation-by-argument",
        "Starts a process that says it is of a later generation.",
        "E['DOOR'] or skip(E['NO_DOOR'])\n"
        "if os.fork() == 0:\n"
        "    null = os.open('/dev/null', os.O_RDWR)\n"
        "    for each in (0, 1, 2):\n        os.dup2(null, each)\n"
        "    os.execvp('sleep', ['drill --generation=7 ' + W, '2'])\n",
    ),
)

BROKER: tuple[Attempt, ...] = (
    _abusing("no-key", "Calls without any key.", "status, _ = call('')\nif status == 200: got('an answer')"),
    _abusing(
        "over-budget",
        "Asks more often than the trial may.",
        f"answers = [call(E['KEY'])[0] for _ in range({_STEPS + 4})]\n"
        f"if answers.count(200) > {_STEPS}: got(answers.count(200), 'answers')",
        alone=True,
        timeout_s=40.0,
    ),
    _abusing(
        "many-at-once",
        "Asks many times at once.",
        f"children = []\nfor _ in range({2 * MOST_AT_ONCE + 2}):\n    child = os.fork()\n"
        "    if child == 0:\n        try:\n            call(E['KEY'])\n"
        "        finally:\n            os._exit(0)\n"
        "    children.append(child)\nfor child in children:\n    os.waitpid(child, 0)\n",
    ),
    _abusing(
        "too-much",
        "Sends nine megabytes.",
        "try:\n    status, _ = call(E['KEY'], W + 'x' * (9 << 20))\nexcept OSError:\n    status = 0\n"
        "if status == 200: got('an answer')",
    ),
    _abusing(
        "another-model",
        "Asks for a model that it was not given.",
        "status, said = call(E['KEY'], model='another-model')\n"
        "if status == 200 and json.loads(said).get('model') == 'another-model': got('another model')",
    ),
    _abusing(
        "stream-cut-off",
        "Hangs up as soon as its answer begins, so that it may not be counted.",
        "E['DOOR'] or skip(E['NO_DOOR'])\n"
        "said = [{'role': 'user', 'content': W}]\n"
        "body = json.dumps({'model': 'x', 'stream': True, 'messages': said}).encode()\n"
        "with socket.create_connection(('127.0.0.1', int(E['DOOR'])), timeout=5) as door:\n"
        "    k = E['KEY']\n"
        "    head = f'POST /v1/chat/completions HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {k}\\r\\n'\n"
        "    door.sendall(f'{head}Content-Length: {len(body)}\\r\\n\\r\\n'.encode() + body)\n"
        "    door.recv(64)\n",
    ),
    _abusing(
        "door-as-a-proxy",
        "Asks the door to call the drill's listener on the host in its stead.",
        "E['DOOR'] or skip(E['NO_DOOR'])\n"
        "place = E['TCP_LOOPBACK4'].replace(' ', ':')\n"
        "for line in (f'CONNECT {place} HTTP/1.1', f'GET http://{place}/{W} HTTP/1.1'):\n"
        "    with socket.create_connection(('127.0.0.1', int(E['DOOR'])), timeout=3) as door:\n"
        "        door.sendall(f'{line}\\r\\nHost: {place}\\r\\nX: {W}\\r\\n\\r\\n'.encode())\n"
        "        try:\n            said = door.recv(4096)\n        except OSError:\n            continue\n"
        "        if b' 200 ' in said.partition(b'\\r\\n')[0]: got('a connection')\n",
    ),
    _abusing(
        "other-services",
        "Asks for what a server of models may do besides.",
        "for path in ('/v1/files', '/v1/fine_tuning/jobs', '/v1/embeddings', '/v1/responses', '/metrics'):\n"
        "    for method in ('GET', 'POST', 'DELETE'):\n"
        "        if call(E['KEY'], path=path, method=method)[0] == 200: got(path)",
    ),
)


class _Watched:
    """A simulated subject that answers slowly, and knows what it was asked."""

    def __init__(self, model: RelayingModel) -> None:
        self._model = model
        self.heard: list[str] = []
        self.most = 0
        self._under_way = 0

    @property
    def serves(self) -> str:
        return self._model.serves

    async def ask(self, *given: Any, **named: Any) -> Any:
        return await self._model.ask(*given, **named)

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        self.heard.append(json.dumps(dict(request)))
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            await asyncio.sleep(_SLOWLY_S)
            return await self._model.relay(request, seed=seed)
        finally:
            self._under_way -= 1


class _Furnished:
    """An open door, and what it has let through."""

    def __init__(
        self, facts: dict[str, str], lineage: Lineage | None = None, watched: _Watched | None = None
    ) -> None:
        self.facts = facts
        self._lineage = lineage
        self._watched = watched
        self._forged = 0

    async def signs(self, attempt: Attempt, word: str) -> list[str]:
        """Return what tells that the broker let an attempt have more than it may."""
        lineage, watched = self._lineage, self._watched
        if lineage is None or watched is None:
            return []
        found = []
        if attempt.kind == "lineage forgery":
            await lineage.look()
            if any(word in heard for heard in watched.heard):
                found.append("was answered by the subject")
            if lineage.forged == self._forged:
                found.append("was not put on record")
        self._forged = lineage.forged
        if watched.most > MOST_AT_ONCE:
            found.append(f"had {watched.most} answers under way at once")
        if len(watched.heard) > lineage.meter.steps:
            found.append("was answered and not counted")
        return found


@asynccontextmanager
async def furnish(lease: Lease) -> AsyncGenerator[_Furnished, None]:
    """Open a door to a subject of the drill's own in a machine, with keys of every kind."""
    if lease.gate is None:
        yield _Furnished({"DOOR": "", "NO_DOOR": "the machine has no gate"})
        return
    async with parse_subject("simulated:steady").connect() as model:
        watched = _Watched(model)  # type: ignore[arg-type]
        broker = Broker(watched)
        census = census_of({"": lease.control})
        lineage = broker.admit(budget=Budget(steps=_STEPS), census=census, world=await census())
        other, child = broker.admit(budget=Budget()), lineage.descend(lineage.first)
        revoked = lineage.descend(lineage.first)
        broker.revoke(revoked, "its loop has ended")
        try:
            async with open_door(lineage, lease.gate, port=_PORT) as door:
                facts = _facts(door, lineage)
                keys = {"OTHER_KEY": other.first, "CHILD_KEY": child, "REVOKED_KEY": revoked}
                yield _Furnished(
                    facts | {name: key.token for name, key in keys.items()}, lineage=lineage, watched=watched
                )
        except Unavailable as fault:
            yield _Furnished({"DOOR": "", "NO_DOOR": str(fault)})


def _facts(door: Door, lineage: Lineage) -> dict[str, str]:
    return {"DOOR": str(door.port), "NO_DOOR": "", "KEY": lineage.first.token}
