"""Machines that are reached over SSH: hosts of one's own, a laboratory's, a virtual machine's.

Importing this costs asyncssh; the catalogue does so when a machine of this kind is asked for.
"""

from environments.ssh.address import SshHost, SshMachine
from environments.ssh.connection import Connection, connect
from environments.ssh.link import Link
from environments.ssh.provider import SshHosts

__all__ = ["Connection", "Link", "SshHost", "SshHosts", "SshMachine", "connect"]
