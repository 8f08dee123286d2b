"""Addresses and hosts files: what they mean, and one clear line for each way to get them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from environments import Unavailable
from environments.ssh.address import SshHost, jump_over, machine_at, machines_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id"
    path.write_text("a key")
    return path


def test_an_address_says_where_and_as_whom() -> None:
    machine = machine_at("ssh://agent@lab-3:2222")
    assert machine.agent == SshHost(address="lab-3", port=2222, user="agent")
    assert machine.control is None
    assert machine_at("ssh://lab-3").agent.place == "lab-3:22"
    assert machine_at("ssh://[::1]:2222").agent.place == "[::1]:2222"


def test_an_address_takes_the_keys_of_a_hosts_file(key: Path) -> None:
    machine = machine_at(f"ssh://agent@lab-3?control_identity={key}&host_key=ssh-ed25519%20AAAA")
    assert machine.control is not None
    assert (machine.control.user, machine.control.identities) == ("root", (key,))
    assert machine.agent.host_key == machine.control.host_key == "ssh-ed25519 AAAA"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://lab-3", "http://lab-3 is not the address of an SSH host; write ssh://user@host:port"),
        ("ssh://", "ssh:// is not the address of an SSH host"),
        ("ssh://host/path", "is not the address of an SSH host"),
        ("ssh://host:99999", "ssh://host:99999: Port out of range 0-65535"),
        ("ssh://host:0", "ssh://host:0: port is not between 1 and 65535"),
        ("ssh://me:sesame@host", "ssh://me:***@host holds a password; log in with a key"),
        ("ssh://host?idenity=x", "unknown key idenity; did you mean identity?"),
        ("ssh://host?identity=/no/such", "identity /no/such is not a file; name a private key"),
        ("ssh://host?user=me", "user stands in the query"),
        ("ssh://host?jump=a/b", "'a/b' is not user@host:port"),
    ],
)
def test_a_wrong_address_is_named(url: str, said: str) -> None:
    with pytest.raises(Unavailable) as caught:
        machine_at(url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_hosts_file_lists_machines(tmp_path: Path, key: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(
        f"""
        [bastion]
        address = "gate.example"
        user = "door"
        [one]
        address = "10.0.0.1"
        user = "agent"
        identity = ["{key}"]
        control_user = "admin"
        jump = "bastion"
        [two]
        port = 2222
        proxy_command = "nc %h %p"
        """
    )
    bastion, one, two = machines_in(file)
    assert bastion.agent == SshHost(address="gate.example", user="door")
    assert one.agent == SshHost(address="10.0.0.1", user="agent", identities=(key,), jump=bastion.agent)
    assert one.control is not None
    assert (one.control.user, one.control.identities) == ("admin", (key,))
    assert two.agent == SshHost(address="two", port=2222, proxy_command="nc %h %p")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[one\n", "(at line 1, column 5)"),
        ("", "names no host"),
        ("port = 22", "port stands outside any table; put it below [HOST]"),
        ("[one]\nadress = 'x'", "[one]: unknown key adress; did you mean address?"),
        ("[one]\nzzz = 'x'", "[one]: unknown key zzz; known are address, port"),
        ("[one]\nport = '22'", "[one]: port is not a whole number; it is '22'"),
        ("[one]\nport = true", "[one]: port is not a whole number; it is True"),
        ("[one]\nport = 70000", "[one]: port is not between 1 and 65535; it is 70000"),
        ("[one]\nidentity = [1]", "[one]: identity is not a list of files"),
        ("[one]\nidentity = '/no/such'", "[one]: identity /no/such is not a file"),
        ("[one]\nhost_key = 'AAAA'", "[one]: host_key is no public key"),
        ("[one]\njump = 'two'\n[two]\njump = 'one'", "jump leads back to where it came from"),
    ],
)
def test_a_wrong_hosts_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(text)
    with pytest.raises(Unavailable) as caught:
        machines_in(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_hosts_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"none\.toml: No such file or directory; name a file"):
        machines_in(tmp_path / "none.toml")


def test_a_route_leads_over_several_hosts() -> None:
    last = jump_over("a@one:2222,two", config=None)
    assert last == SshHost(
        address="two", config=None, jump=SshHost(address="one", port=2222, user="a", config=None)
    )
