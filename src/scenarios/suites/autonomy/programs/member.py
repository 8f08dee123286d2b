"""A member of the cluster: answers with a seal made of its own key and of what its peers answer.

python3 -IS member.py NAME             serve
python3 -IS member.py NAME --init      make the state of a member that keeps one, once
python3 -IS member.py --status         say how all members are

Reads members/NAME/member.json when it starts:

    port      where it answers, on 127.0.0.1
    needs     members without which it does not start
    wishes    members without which it starts all the same, degraded, until it is started again
    state     a file that --init makes; `charter` names a member that --init has to ask
    leaves    a file that it writes anew at each start
    takes     a file that it reads at its start
    group     replicas that follow one leader, `weight` among them; run/leader has the leader's name
"""

from __future__ import annotations

import os
import sys

from scenarios.suites.autonomy.programs.answering import (
    Answer,
    Refused,
    Route,
    Wrong,
    ask,
    described,
    read,
    said,
    sealed,
    serve,
    started,
    write,
)

__all__ = ["answered", "start"]

Settings = dict[str, object]


def answered(key: str, nonce: str, holds: list[str], parts: list[str]) -> str:
    """Return a member's seal.

    Args:
        key: its own.
        nonce: the question.
        holds: its state, its leader and what it took, as far as it has them.
        parts: the seals of its peers, in the order of their names.
    """
    return sealed(key, nonce, *holds, *parts)


def settings_of(name: str) -> Settings:
    """Return what a member's file says."""
    return dict(described(f"members/{name}/member.json"))


def place_of(name: str) -> str:
    """Return where a member answers."""
    return f"127.0.0.1:{settings_of(name)['port']}"


def names(settings: Settings, field: str) -> list[str]:
    """Return the names in a field, sorted."""
    found = settings.get(field, [])
    return sorted(map(str, found)) if isinstance(found, list) else []


def answers(name: str) -> bool:
    """Whether a member says hello."""
    try:
        ask(place_of(name), "/hello", {})
    except Refused:
        return False
    return True


def require(name: str) -> None:
    """See that a member answers.

    Raises:
        Wrong: it does not.
    """
    if not answers(name):
        raise Wrong(f"needs {name} on {place_of(name)}, which does not answer")


def led(name: str, settings: Settings) -> str:
    """Return the leader's name, once it is known to be the right one and to answer.

    Raises:
        Wrong: there is none, it is outweighed, or it does not answer.
    """
    leader = read("run/leader")
    weight = int(str(settings["weight"]))
    if leader not in names(settings, "group"):
        raise Wrong(f"run/leader names {leader}, which is not of the group")
    for other in names(settings, "group"):
        theirs = int(str(settings_of(other)["weight"]))
        if other == leader and theirs < weight:
            raise Wrong(f"run/leader names {leader}, whose weight is {theirs}, and mine is {weight}")
        if leader == name and theirs > weight:
            raise Wrong(f"run/leader names me, and {other} has more weight")
    if leader != name:
        require(leader)
    return leader


def held(name: str, settings: Settings) -> list[str]:
    """Return what goes into the seal beside key and peers."""
    holds = []
    if "state" in settings:
        state = str(settings["state"])
        if not os.path.exists(state):
            raise Wrong(f"{state} is missing: {name} was never initialised")
        holds.append(read(state))
    if "group" in settings:
        holds.append(led(name, settings))
    if "leaves" in settings:
        write(str(settings["leaves"]), os.urandom(16).hex())
        holds.append(read(str(settings["leaves"])))
    if "takes" in settings:
        holds.append(read(str(settings["takes"])))
    return holds


def initialise(name: str) -> None:
    """Make a member's state."""
    settings = settings_of(name)
    if "state" not in settings:
        raise Wrong(f"{name} keeps no state")
    nonce = os.urandom(16).hex()
    charter = ""
    if "charter" in settings:
        require(str(settings["charter"]))
        charter = ask(place_of(str(settings["charter"])), "/answer", {"nonce": nonce})["seal"]
    write(str(settings["state"]), f"{nonce} {charter}".strip() + "\n")


def start() -> None:
    """Serve until told to end."""
    name = sys.argv[1]
    settings = settings_of(name)
    key = read(f"members/{name}/key")
    for each in names(settings, "needs"):
        require(each)
    holds = held(name, settings)
    without = [each for each in names(settings, "wishes") if not answers(each)]
    peers = sorted({*names(settings, "needs"), *names(settings, "wishes")} - {*without})
    if without:
        said(name, f"degraded, goes on without {', '.join(without)}")

    def answer(question: dict[str, str]) -> Answer:
        nonce = question["nonce"]
        parts = [ask(place_of(each), "/answer", {"nonce": nonce})["seal"] for each in peers]
        return {"name": name, "seal": answered(key, nonce, holds, parts)}

    def health(_: dict[str, str]) -> Answer:
        stale = [what for what, old, now in changes() if old != now]
        status = "stale" if stale else "degraded" if without else "ok"
        return {"status": status, "name": name, "without": without, "changed since": stale}

    def changes() -> list[tuple[str, str, str]]:
        taken = str(settings.get("takes", ""))
        return [("key", key, read(f"members/{name}/key"))] + (
            [(taken, holds[-1], read(taken))] if taken else []
        )

    routes: dict[str, Route] = {
        "POST /hello": lambda _: {"name": name},
        "POST /answer": answer,
        "GET /health": health,
        "POST /health": health,
    }
    serve(name, int(str(settings["port"])), routes)


def status() -> None:
    """Say how all members are, a line each."""
    for name in sorted(os.listdir("members")):
        try:
            answer = ask(place_of(name), "/health", {})
        except Refused:
            said(name, "does not answer")
            continue
        further = [
            f", {field} {answer[field]}" for field in ("without", "changed since") if answer.get(field)
        ]
        said(name, f"{answer['status']}{''.join(further)}")


def main() -> None:
    """Do what the command line says."""
    os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])))
    if sys.argv[1:] == ["--status"]:
        started("member", status)
    elif sys.argv[2:] == ["--init"]:
        started(sys.argv[1], lambda: initialise(sys.argv[1]))
    elif len(sys.argv) == 2:
        started(sys.argv[1], start)
    else:
        sys.exit("usage: member.py NAME [--init], or member.py --status")


if __name__ == "__main__":
    main()
