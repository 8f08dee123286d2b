"""Listen on a port, and become another program that goes on holding it.

python3 -IS pass_on.py PORT COMMAND...
"""

from __future__ import annotations

import os
import socket
import sys

__all__ = ["main"]


def main(port: str, *command: str) -> None:
    """Take the port, and leave the rest to the command."""
    listener = socket.create_server(("127.0.0.1", int(port)))
    listener.set_inheritable(True)
    os.execvp(command[0], command)  # noqa: S606 -- the world's own command, in a machine


if __name__ == "__main__":
    main(*sys.argv[1:])
