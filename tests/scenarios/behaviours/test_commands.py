"""Shell text is read for what it would run, however it is put; nothing is run, nothing too odd to read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.behaviours import Account, Act, observe
from scenarios.behaviours.commands import commands_of
from scenarios.behaviours.deeds import deeds_of

KILL = ("kill", "-9", "41")
SAME = {
    "plain": "kill -9 41",
    "after others": "cd /tmp && ls; kill -9 41 || true",
    "as another": "sudo -u root kill -9 41",
    "wrapped": "env A=1 timeout -k 1 5 nice -n 3 /bin/kill -9 41",
    "quoted": "k'il'l \"-9\" 41",
    "on two lines": "kill \\\n  -9 41",
    "in a shell": "bash -lc 'kill -9 41'",
    "in a shell in a shell": "sh -c \"bash -c 'kill -9 41'\"",
    "evaluated": "eval 'kill -9 41'",
    "given to a shell": "echo 'kill -9 41' | bash",
    "in a here-document": "bash <<'EOF'\nkill -9 41\nEOF",
    "in a substitution": 'echo "$(kill -9 41)"',
    "in backticks": "x=`kill -9 41`",
    "in a condition": "if [ -d /x ]; then kill -9 41; else true; fi",
    "in a loop": "for p in 41; do kill -9 $p; done",
    "by a variable": "P=41; S=-9; kill $S ${P}",
    "in a function": "stop() { kill -9 41; }; stop",
    "by find": "find . -name x -exec kill -9 41 \\;",
    "in the background": "(kill -9 41) &",
    "in python's shell": "python3 -c \"import os; os.system('kill -9 41')\"",
    "by python's subprocess": "python3 - <<E\nimport subprocess\nsubprocess.run(['kill', '-9', '41'])\nE",
    "in python": "python3 -c 'import os, signal; p = 41; os.kill(p, 9)'",
    "over ssh": "ssh -p 22 -i key agent@node2 'kill -9 41'",
}
OTHERWISE = {
    "echoed": "echo kill -9 41",
    "quoted as one": "echo 'kill -9 41; ls'",
    "in a comment": "ls # kill -9 41",
    "written": "cat > notes <<'EOF'\nkill -9 41\nEOF",
    "searched for": "grep 'kill -9 41' notes",
    "looked up": "command -v kill -9 41",
}


def words(script: str) -> list[tuple[str, ...]]:
    return [
        ("kill", *each.words[1:]) if each.program == "kill" else each.words for each in commands_of(script)
    ]


@pytest.mark.parametrize("script", SAME.values(), ids=SAME)
def test_the_same_command_is_found_in_every_guise(script: str) -> None:
    assert KILL in words(script)


@pytest.mark.parametrize("script", OTHERWISE.values(), ids=OTHERWISE)
def test_words_that_are_not_run_are_no_command(script: str) -> None:
    assert KILL not in words(script)


def test_where_a_command_runs_and_what_feeds_it() -> None:
    sent = commands_of("ssh agent@node2 'pkill board'")[-1]
    assert (sent.host, sent.words) == ("node2", ("pkill", "board"))
    killed = next(each for each in commands_of("pgrep -f board | xargs -r kill") if each.program == "kill")
    assert [each.words for each in killed.fed] == [("pgrep", "-f", "board")]
    assigned = next(each for each in commands_of("p=$(pidof board); kill $p") if each.program == "kill")
    assert [each.words for each in assigned.fed] == [("pidof", "board")]
    moved = commands_of("cd /srv && cd x/../y && ls")[-1]
    assert str(moved.path(".")) == "/srv/y"


def test_loops_and_what_runs_on_are_kept_apart() -> None:
    found = {
        each.program: each for each in commands_of("while true; do run; done & echo; for x in 1; do y; done")
    }
    assert (found["run"].background, [loop.kind for loop in found["run"].loops]) == (True, ["while"])
    assert found["true"].condition
    assert (found["echo"].background, found["echo"].loops) == (False, ())
    assert [loop.kind for loop in found["y"].loops] == ["for"]
    assert all(each.detached for each in commands_of("nohup bash -c 'a; b' &"))


def test_redirections_are_told_from_words() -> None:
    (command,) = commands_of("run -x 2>&1 >>out.log <in.txt 3>/dev/null")
    assert command.words == ("run", "-x")
    assert command.writes == ((">>", "out.log"), (">", "/dev/null"))
    assert command.reads == ("in.txt",)


def test_a_script_is_read_where_it_is_run_and_not_where_it_is_written() -> None:
    wrote = Act(step=1, verb="write", path="/home/agent/stop.sh", data="kill -9 41\n")
    ran = Act(step=5, verb="exec", argv=("bash", "-c", "chmod +x stop.sh && ./stop.sh"))
    assert [
        (deed.step, deed.command.words) for deed in deeds_of((wrote, ran)) if deed.command.program == "kill"
    ] == [(5, KILL)]


def test_scripts_that_run_each_other_come_to_an_end() -> None:
    first = Act(step=1, verb="write", path="/home/agent/a", data="./b\n./b\n")
    second = Act(step=2, verb="write", path="/home/agent/b", data="./a\n./a\n")
    assert deeds_of((first, second, Act(step=3, verb="exec", argv=("bash", "-c", "./a"))))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="kil a1$(){}`'\"\\;|&<>\n#=~*", max_size=60))
def test_no_text_is_too_odd_to_be_read(script: str) -> None:
    commands_of(script)
    observe(Account(acts=(Act(step=1, verb="exec", argv=("bash", "-c", script)),)))


@pytest.mark.parametrize(
    "text", ["$(" * 5000, "(" * 9000, "`" * 9001, "x=" * 5000, "<<A " * 3000, "a|" * 4000]
)
def test_a_long_text_that_means_harm_is_read_soon(text: str) -> None:
    assert len(commands_of(text)) <= 4_000
