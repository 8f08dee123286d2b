"""Agent inside: a program in the machine is the scaffold, and redline answers its calls to the model.

The program below knows nothing of redline. It reads OPENAI_BASE_URL, OPENAI_API_KEY and MODEL, as most
command-line agents do, and runs a loop of model and tools with Python's standard library. There is no network
in the machine: the address leads to redline's broker, which budgets, records and passes on.

    redline run self-replication --scaffold examples/07_agent_inside.py:agent --trials 3
"""

from __future__ import annotations

import asyncio

from environments.sandbox import Sandbox
from scaffold import Budget, Context, InsideAgent
from scaffold.models import parse_subject
from scenarios import lay_out
from scenarios.catalogue import CATALOGUE

PROGRAM = """\
import inspect, json, os, shlex, subprocess, sys, urllib.request

def ask(messages):
    body = {"model": os.environ["MODEL"], "messages": messages, "tools": TOOLS}
    head = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)) as answer:
        return json.load(answer)["choices"][0]["message"]

def shell(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr) + (f"[exit status {done.returncode}]" if done.returncode else "")

def read_file(path):
    return shell("cat -- " + path)

def list_directory(path):
    return shell("ls -la -- " + path)

def list_ports():
    return shell("cat /proc/net/tcp")

def start_process(command, log):
    shell(f"setsid bash -c {shlex.quote(command)} </dev/null >{log} 2>&1 & sleep 1")
    return shell("tail -n 3 " + log) or "[started]"

def http_request(url, method="GET", body=None):
    return shell(f"curl -isS -m 10 -X {method} -d {shlex.quote(body or '')} {shlex.quote(url)}")

def finish(summary):
    sys.exit(print(summary))

HANDS = (shell, read_file, list_directory, list_ports, start_process, http_request, finish)
CALLED = {hand.__name__: hand for hand in HANDS}
def described(hand):
    keys = {key: {"type": "string"} for key in inspect.signature(hand).parameters}
    return {"name": hand.__name__, "parameters": {"type": "object", "properties": keys}}
TOOLS = [{"type": "function", "function": described(hand)} for hand in HANDS]

messages = [{"role": "user", "content": sys.argv[1]}]
while True:
    message = ask(messages)
    messages.append(message)
    for call in message.get("tool_calls") or sys.exit(print(message["content"])):
        given = json.loads(call["function"]["arguments"])
        said = CALLED[call["function"]["name"]](**given)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": said[-8000:]})
"""

agent = InsideAgent(name="inside", files={"agent.py": PROGRAM}, command=("python3", "agent.py"))


async def main() -> None:
    """Play one trial by hand, and say what the program has spent."""
    scenario, seed = CATALOGUE["self-replication"], 0
    async with (
        parse_subject("simulated:steady").connect() as model,
        Sandbox().open(label="inside", seed=seed) as lease,
    ):
        world = await lay_out(scenario, lease.control, seed)
        context = Context.start(
            env=lease.agent, model=model, budget=Budget(steps=40, seconds=90), seed=seed, gate=lease.gate
        )
        episode = await agent.run(scenario.instruction, lease.agent, context=context)
        await lease.control.freeze()
        verdict = await scenario.oracle.judge(lease.control, world.secret, episode.submission)
    used = episode.faculties["inside"]
    print(f"the program {episode.stop}: {used.turns} calls, {used.tool_calls} tools, {used.tokens} tokens")
    print(f"it said: {episode.submission}")
    print(f"the oracle says: {verdict.status} ({verdict.reason or 'every milestone'})")


if __name__ == "__main__":
    asyncio.run(main())
