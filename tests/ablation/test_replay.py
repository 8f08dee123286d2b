from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from chat_server import completion, serving
from langchain_core.messages import AIMessage
from rich.console import Console
from small_studies import HOME, arm, copier, lay_out, note, small_study

from ablation import run_study, verify_study
from ablation.errors import FolderFault, NameUnknown, RecordFault
from ablation.record import read_log
from ablation.replay import replay_trial
from ablation.replay.telling import print_replay
from ablation.store import StudyFolder
from scaffold import Budget, InsideAgent, Reply, ToolCall, Usage
from scaffold.models import OpenAISubject, Patience
from scaffold.models.scripted import Scripted, call
from scaffold.oversight.decisions import allow, deny
from scenarios import Prepared, Scenario, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from whole_trials import Call

    from ablation import Study
    from ablation.replay import Replay
    from environments import Control
    from scaffold import Decision

pytestmark = pytest.mark.anyio

READER = Scripted(
    replies=[
        [call("shell", command="ls")],
        [call("shell", command="cat word.txt")],
        [call("shell", command="cp word.txt note.txt")],
        [call("finish", summary="done")],
    ]
)
TRIAL = "full--note--0"


async def recorded(out: Path, **changes: Any) -> tuple[StudyFolder, Study]:
    study = small_study(**{"seeds": [0], "subject": READER, **changes})
    await run_study(study, out)
    return StudyFolder.load(out), study


def elsewhere(study: Study, word: str) -> Study:
    """The same study, whose world is another."""

    async def another(control: Control, seed: int, /) -> Prepared[str]:
        prepared = await lay_out(control, seed)
        await control.plant(HOME / "word.txt", word.encode())
        return replace(prepared, secret=word)

    return replace(study, scenarios=[replace(note, prepare=another)])


def shown(found: Replay, *, full: bool = False) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: PTH123, SIM115
    with console.file:
        print_replay(found, console, full=full)
    return console.export_text()


async def test_a_trial_is_replayed_without_its_model(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was")
    nobody = replace(study, subject=OpenAISubject(model="gone", base_url="http://127.0.0.1:1/v1"))
    found = await replay_trial(folder, nobody, TRIAL, out=tmp_path / "is")
    assert found.holds
    assert (found.decisions, found.replayed, found.divergences, found.renamed) == (4, 4, (), ())
    assert found.then == found.now
    assert (found.now.outcome, found.now.milestones) == ("success", (("noted", True),))
    assert verify_study(tmp_path / "is").ok
    again = StudyFolder.load(tmp_path / "is")
    (record,) = again.records()
    assert (record.subject, record.cost, record.answers_from_cache) == ("recorded:openai:gone", 0.0, 4)
    assert again.design["subject"]["settings"]["source"] == _head(folder)
    assert "4 of 4 taken again" in shown(found)
    assert "success then, success now" in shown(found)


def _head(folder: StudyFolder) -> str:
    ended = [event for event in read_log(folder.ledger) if event["kind"] == "ended"]
    head: str = ended[0]["head"]
    return head


async def test_a_world_that_changed_is_found_where_it_shows(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was")
    found = await replay_trial(folder, elsewhere(study, "other"), TRIAL, out=tmp_path / "is")
    assert not found.holds
    (first,) = found.divergences
    assert (first.step, first.what, first.where) == (2, "answer", "shell")
    assert (first.then, first.now) == ("word-0", "other")
    assert found.now.outcome == "success", "whatever the word is, it is copied"
    assert "first at step 2: what shell answered" in shown(found)
    assert "counterfactual" in shown(found)


async def test_what_is_another_outcome_without_a_divergence_does_not_hold(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was", subject=copier())
    found = await replay_trial(folder, elsewhere(study, "other"), TRIAL, out=tmp_path / "same")
    assert found.holds, "the agent never read the word"

    class Never:
        async def judge(self, *_: object) -> Verdict:
            return Verdict(status="fail", milestones=(), reason="no")

    strict = replace(study, scenarios=[replace(note, oracle=Never())])
    found = await replay_trial(folder, strict, TRIAL, out=tmp_path / "is")
    assert (found.divergences, found.then.outcome, found.now.outcome) == ((), "success", "failure")
    assert not found.holds
    assert "success then, failure now" in shown(found)


async def test_what_the_subject_is_told_is_compared_too(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was")
    other = replace(study, scenarios=[replace(note, instruction="Move word.txt to note.txt.")])
    found = await replay_trial(folder, other, TRIAL, out=tmp_path / "is")
    assert found.first is not None
    assert (found.first.step, found.first.what, found.first.where) == (1, "told", "user")
    assert (found.first.then, found.first.now) == (note.instruction, "Move word.txt to note.txt.")
    assert any("instruction" in change for change in found.changes)


async def test_a_replay_can_end_where_it_parts(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was")
    changed = elsewhere(study, "other")
    found = await replay_trial(folder, changed, TRIAL, out=tmp_path / "is", stop=True)
    assert (found.replayed, found.decisions) == (2, 4)
    assert found.first is not None
    assert found.first.step == 2
    assert (found.now.outcome, found.now.stop) == ("aborted", "aborted")


async def test_a_log_that_was_edited_or_is_another_trials_is_refused(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was", seeds=[0, 1])
    own, others = folder.log(TRIAL), folder.log("full--note--1")
    whole = own.read_bytes()
    own.write_bytes(whole.replace(b"cp word.txt", b"rm word.txt"))
    with pytest.raises(RecordFault, match="was edited"):
        await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    own.write_bytes(others.read_bytes())
    with pytest.raises(RecordFault, match="the log is a copy"):
        await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    own.write_bytes(b"".join(whole.splitlines(keepends=True)[:-3]))
    with pytest.raises(RecordFault, match="cut off"):
        await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    assert not (tmp_path / "is").exists()


# ------------------------------------------------------------------------- keys that are drawn anew


async def keyed(control: Control, seed: int, /) -> Prepared[str]:
    key = secrets.token_hex(16)
    prepared = await lay_out(control, seed)
    await control.plant(HOME / "word.txt", key.encode())
    return replace(prepared, secret=key)


KEYED: Scenario[str] = replace(note, prepare=keyed)


class WritesWhatItRead(Scripted):
    """Reads a key, and writes it down in a command of its own."""

    async def ask(self, messages: Any, **_: Any) -> Reply:
        spoken = sum(isinstance(message, AIMessage) for message in messages)
        calls = [
            ("shell", {"command": "cat word.txt"}),
            ("shell", {"command": f"printf %s '{messages[-1].text}' > note.txt"}),
            ("finish", {"summary": "done"}),
        ]
        name, arguments = calls[spoken]
        made = ToolCall(id=f"c{spoken}", name=name, arguments=arguments)
        message = AIMessage("", tool_calls=[{"id": made.id, "name": name, "args": arguments}])
        return Reply(message=message, text="", calls=(made,), usage=Usage(calls=1, prompt_tokens=10))


async def test_a_key_that_was_read_is_written_as_it_reads_now(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was", subject=WritesWhatItRead(replies=[]), scenarios=[KEYED])
    found = await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    assert found.holds
    assert (found.now.outcome, found.renamed, dict(found.passed)) == ("success", (2,), {"known value": 1})
    assert "drawn anew by the world's preparation" in shown(found)
    exact = await replay_trial(folder, study, TRIAL, out=tmp_path / "exact", exact=True)
    assert exact.first is not None
    assert (exact.first.step, exact.renamed, exact.now.outcome) == (1, (), "failure")


# ----------------------------------------------------------------------------- how the trial ended


async def test_a_trial_that_ran_out_of_steps_does_again(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was", budget=Budget(steps=2, seconds=20))
    found = await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    assert found.holds
    assert (found.now.outcome, found.now.limit) == ("limit", "steps")


async def test_a_void_trial_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    copied = completion(calls=[("shell", '{"command": "cp word.txt note.txt"}')])
    async with serving(copied, b"no answer") as server:
        subject = OpenAISubject(model="m", base_url=server.url, patience=Patience(attempts=1))
        folder, study = await recorded(tmp_path / "was", subject=subject, void_retries=0)
    found = await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    assert (found.replayed, found.decisions, found.divergences) == (1, 1, ())
    assert (found.then.outcome, found.now.outcome, found.now.stop) == ("void", "success", "aborted")
    assert "void then, success now" in shown(found)


async def test_an_interrupted_trial_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    slow = Scripted(replies=[[call("shell", command="ls")], [call("shell", command="sleep 60")]])
    study = small_study(seeds=[0], subject=slow, budget=Budget(steps=9, seconds=90))
    running = asyncio.create_task(run_study(study, tmp_path / "was"))
    log = tmp_path / "was" / "trials" / f"{TRIAL}.jsonl"
    while not (log.exists() and b"sleep 60" in log.read_bytes()):
        assert not running.done()
        await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    folder = StudyFolder.load(tmp_path / "was")
    brief = replace(study, budget=Budget(steps=9, seconds=2))  # what was under way is begun again
    found = await replay_trial(folder, brief, TRIAL, out=tmp_path / "is")
    assert (found.then.outcome, found.now.outcome) == ("interrupted", "limit")
    assert (found.decisions, found.replayed, found.divergences) == (2, 2, ())


async def test_a_trial_that_was_never_begun_has_nothing_to_replay(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was", controls=True)
    with pytest.raises(NameUnknown, match="is a control: it asks no subject"):
        await replay_trial(folder, study, "reference--note--0", out=tmp_path / "is")
    with pytest.raises(FolderFault, match="has 1 attempt"):
        await replay_trial(folder, study, TRIAL, out=tmp_path / "is", attempt=2)


async def test_what_a_supervisor_denied_is_denied_again_and_nobody_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    async def careful(tool: ToolCall, _: Any) -> Decision:
        asked.append(str(tool.arguments))
        return deny("not that") if "cp" in str(tool.arguments) else allow()

    folder, study = await recorded(tmp_path / "was", oversight=careful)
    count = len(asked)
    found = await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
    assert (found.holds, found.now.outcome) == (True, "failure")
    assert len(asked) == count > 0


PROGRAM = """\
import json, os, subprocess, sys, urllib.request
talk = [{"role": "user", "content": sys.argv[1]}]
while True:
    body = json.dumps({"model": os.environ["MODEL"], "messages": talk}).encode()
    head = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    said = json.loads(urllib.request.urlopen(urllib.request.Request(url, body, head)).read())
    message = said["choices"][0]["message"]
    talk.append(message)
    if not message.get("tool_calls"):
        print(message["content"])
        break
    for call in message["tool_calls"]:
        command = json.loads(call["function"]["arguments"])["command"]
        out = subprocess.run(command, shell=True, capture_output=True, text=True).stdout
        talk.append({"role": "tool", "tool_call_id": call["id"], "content": out})
"""


async def test_a_program_inside_the_machine_is_answered_from_the_record(tmp_path: Path) -> None:
    agent = InsideAgent(name="full", files={"agent.py": PROGRAM}, command=("python3", "agent.py"))
    arms = [replace(arm(baseline=True), scaffold=agent)]
    read = completion(calls=[("shell", '{"command": "cat word.txt; cp word.txt note.txt"}')])
    async with serving(read, completion("done")) as server:
        subject = OpenAISubject(model="m", base_url=server.url)
        folder, study = await recorded(tmp_path / "was", arms=arms, subject=subject)
        found = await replay_trial(folder, study, TRIAL, out=tmp_path / "is")
        assert len(server.requests) == 2
    assert (found.holds, found.decisions, found.now.outcome) == (True, 2, "success")
    found = await replay_trial(folder, elsewhere(study, "other"), TRIAL, out=tmp_path / "other")
    assert found.first is not None
    assert (found.first.step, found.first.what, found.first.where) == (2, "told", "tool")
    assert (found.first.then, found.first.now) == ("word-0", "other")


# ------------------------------------------------------------------------------- the command line


async def test_hostile_text_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    folder, study = await recorded(tmp_path / "was")
    found = await replay_trial(
        folder, elsewhere(study, "\x1b[2Jo\u202ether [bold]"), TRIAL, out=tmp_path / "is"
    )
    for full in (True, False):
        said = shown(found, full=full)
        assert "⟨U+001B⟩[2Jo⟨U+202E⟩ther [bold]" in said


def test_the_command_says_whether_it_holds(call: Call) -> None:
    run = ("run", "errand", "--model", "simulated:steady", "--out", "was", "--scaffold", "react")
    assert call(*run).returncode == 0
    said = call("replay", "was", "errand", "--out", "is", "--json")
    assert said.found["decisions"] == said.found["replayed"] > 0
    assert said.returncode == (0 if said.found["holds"] else 1)
    assert said.found["changes"] == []
    assert call("verify", "is").returncode == 0
    assert "holds a replay: run `redline replay` again" in call("resume", "is").stderr
    assert "there is no trial 'full--errnd'" in call("replay", "was", "full--errnd").stderr


def test_a_programs_study_is_named_by_its_file(tmp_path: Path, call: Call) -> None:
    asyncio.run(recorded(tmp_path / "was"))
    said = call("replay", "was", TRIAL)
    assert (said.returncode, "was started by a program" in said.stderr) == (2, True)
    assert "--study FILE.py" in said.stderr
    (tmp_path / "mine.py").write_text(
        "from small_studies import small_study\n"
        "from scaffold.models.scripted import Scripted\n"
        "study = small_study(seeds=[0], subject=Scripted(replies=[]))\n"
    )
    said = call("replay", "was", TRIAL, "--study", "mine.py", "--out", "is")
    assert (said.returncode, "4 of 4 taken again" in said.stdout) == (0, True)
