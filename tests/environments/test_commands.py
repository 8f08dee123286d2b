"""What the agent's handle does, on the real thing."""

from __future__ import annotations

import asyncio
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments import Closed, Environment
from environments.sandbox import Sandbox

if TYPE_CHECKING:
    from environments import Lease

pytestmark = pytest.mark.anyio


async def sh(lease: Lease, text: str, timeout_s: float = 20.0) -> str:
    return (await lease.agent.exec(["bash", "-c", text], timeout_s=timeout_s)).text


async def names_running(lease: Lease) -> list[str]:
    return [process.argv[0] for process in await lease.control.processes() if process.argv]


async def test_a_failed_command_is_a_value(lease: Lease) -> None:
    result = await lease.agent.exec(["bash", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.status, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert not result.ok
    assert (await lease.agent.exec(["no-such-program"])).status == 127


async def test_the_handle_fulfils_the_protocol(lease: Lease) -> None:
    assert isinstance(lease.agent, Environment)
    assert not hasattr(lease.agent, "plant")
    assert not hasattr(lease.control, "exec")


async def test_arguments_arrive_as_given(lease: Lease) -> None:
    odd = ["", "a b", "'", '"', "$HOME", "`id`", "new\nline", "-n", "*", "\\"]
    result = await lease.agent.exec(["printf", "%s\\0", *odd])
    assert result.stdout.decode().split("\0")[:-1] == odd


def test_any_argument_arrives_as_given() -> None:
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)

    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(text, max_size=4))
    def check(arguments: list[str]) -> None:
        async def run() -> None:
            async with Sandbox().open(label="test", seed=0) as lease:
                result = await lease.agent.exec(["printf", "%s\\0", "", *arguments])
                assert result.stdout.decode().split("\0")[1:-1] == arguments

        asyncio.run(run())

    check()


async def test_a_nul_byte_is_refused_before_anything_runs(lease: Lease) -> None:
    with pytest.raises(ValueError, match="NUL"):
        await lease.agent.exec(["echo", "a\0b"])


async def test_input_and_output_are_binary(lease: Lease) -> None:
    data = os.urandom(50_000)
    assert (await lease.agent.exec(["cat"], stdin=data)).stdout == data


async def test_long_output_keeps_head_and_tail(lease: Lease) -> None:
    result = await lease.agent.exec(["bash", "-c", "echo first; seq 1 200000; echo last"])
    assert result.stdout.startswith(b"first\n1\n")
    assert result.stdout.endswith(b"200000\nlast\n")
    assert result.dropped > 1_000_000
    assert len(result.stdout) == 64 << 10


async def test_a_time_out_ends_the_group_and_keeps_the_output(lease: Lease) -> None:
    result = await lease.agent.exec(["bash", "-c", "echo early; sleep 50 & sleep 60"], timeout_s=0.5)
    assert result.timed_out
    assert result.stdout == b"early\n"
    await asyncio.sleep(0.1)
    assert "sleep" not in await names_running(lease)
    assert await sh(lease, "echo well") == "well\n"


async def test_cancellation_leaves_no_survivor(lease: Lease) -> None:
    task = asyncio.ensure_future(lease.agent.exec(["bash", "-c", "sleep 50 & sleep 60"]))
    await asyncio.sleep(0.3)
    assert "sleep" in await names_running(lease)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    assert "sleep" not in await names_running(lease)
    assert await sh(lease, "echo well") == "well\n"


async def test_commands_run_at_the_same_time(lease: Lease) -> None:
    started = asyncio.get_running_loop().time()
    texts = await asyncio.gather(*(sh(lease, f"sleep 0.5; echo {i}") for i in range(8)))
    assert texts == [f"{i}\n" for i in range(8)]
    assert asyncio.get_running_loop().time() - started < 3


async def test_background_services_live_on_and_keep_their_output_apart(lease: Lease) -> None:
    await sh(lease, "(while :; do echo noise; sleep 0.05; done) &")
    await asyncio.sleep(0.2)
    assert await sh(lease, "echo quiet") == "quiet\n"
    assert await sh(lease, "sleep 100 >/dev/null 2>&1 & echo started") == "started\n"
    assert "sleep" in await names_running(lease)


async def test_a_command_starts_where_it_is_told(lease: Lease) -> None:
    assert await sh(lease, "pwd") == "/home/agent\n"
    result = await lease.agent.exec(["pwd"], cwd=PurePosixPath("/var/log"))
    assert result.text == "/var/log\n"
    assert (await lease.agent.exec(["pwd"], cwd=PurePosixPath("/none"))).status == 126


async def test_nothing_but_files_is_shared_between_commands(lease: Lease) -> None:
    await sh(lease, "cd /tmp; export A=1; f() { :; }; set -e; trap 'echo x' EXIT; touch here")
    assert await sh(lease, "pwd; echo [$A]; type -t f; ls /tmp/here") == ("/home/agent\n[]\n/tmp/here\n")


async def test_the_agent_killing_everything_costs_it_one_command(lease: Lease) -> None:
    assert (await lease.agent.exec(["bash", "-c", "kill -9 -1; sleep 5"])).status == 137
    for _ in range(3):
        assert await sh(lease, "echo alive") == "alive\n"
        await sh(lease, "pkill -9 bash")


async def test_the_agent_cannot_break_its_own_channel(lease: Lease) -> None:
    await sh(
        lease,
        "rm -rf /run/session/* /tmp/* ~; mkfifo /run/session/9.out; ln -s /etc/passwd /run/session/10.out",
    )
    for _ in range(6):
        result = await lease.agent.exec(["bash", "-c", "cd /; echo alive"], timeout_s=5)
        assert result.status in {0, 1}
    assert await sh(lease, "cd /; echo alive") == "alive\n"


async def test_forged_answers_do_not_reach_the_host(lease: Lease) -> None:
    text = "for p in /proc/[0-9]*/fd/3; do echo '999 0' >$p; echo nonsense >$p; done 2>/dev/null; exit 7"
    assert (await lease.agent.exec(["bash", "-c", text])).status == 7
    assert await sh(lease, "echo alive") == "alive\n"


async def test_files_round_trip(lease: Lease) -> None:
    path = PurePosixPath("/home/agent/some dir/-file'\"")
    for data in (b"", b"\0\xff", os.urandom(300_000)):
        await lease.agent.write(path, data)
        assert await lease.agent.read(path) == data


@pytest.mark.parametrize(
    ("path", "error"),
    [("/none", FileNotFoundError), ("/home", IsADirectoryError), ("/etc/passwd/x", NotADirectoryError)],
)
async def test_files_say_what_is_wrong(lease: Lease, path: str, error: type[OSError]) -> None:
    with pytest.raises(error):
        await lease.agent.read(PurePosixPath(path))


async def test_files_respect_the_users_permissions(lease: Lease) -> None:
    await sh(lease, "echo x >closed; chmod 000 closed")
    with pytest.raises(PermissionError):
        await lease.agent.read(PurePosixPath("/home/agent/closed"))
    with pytest.raises(PermissionError):
        await lease.agent.write(PurePosixPath("/usr/bin/new"), b"")


async def test_the_machine_is_writable_where_its_user_may_write(lease: Lease) -> None:
    places = ("/home/agent", "/tmp", "/srv", "/opt", "/etc", "/var/log", "/usr/local", "/dev/shm")  # noqa: S108
    for place in places:
        assert await sh(lease, f"touch {place}/x && echo yes") == "yes\n", place


async def test_a_frozen_machine_takes_no_command(lease: Lease) -> None:
    await sh(lease, "sleep 100 >/dev/null 2>&1 &")
    running = asyncio.ensure_future(lease.agent.exec(["tail", "-f", "/dev/null"]))
    await asyncio.sleep(0.2)
    await lease.control.freeze()
    assert (await running).status == 137
    with pytest.raises(Closed):
        await lease.agent.exec(["true"])
    await asyncio.sleep(0.1)
    assert await names_running(lease) == ["sleep"]
