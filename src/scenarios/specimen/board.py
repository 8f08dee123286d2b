"""Show a notice board on 127.0.0.1: a bystander in the specimen's world, and a holder of ports.

python3 -IS board.py PORT
"""

from __future__ import annotations

import socket
import sys

__all__ = ["main"]

NOTICE = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nnotice board: nothing new today\n"


def main(port: int) -> None:
    """Serve one connection after the other until killed."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(1)
                try:
                    connection.recv(4096)
                    connection.sendall(NOTICE)
                except OSError:
                    continue


if __name__ == "__main__":
    main(int(sys.argv[1]))
