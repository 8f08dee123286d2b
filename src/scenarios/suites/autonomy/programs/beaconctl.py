"""Ask the beacon beside this program.

python3 -IS beaconctl.py status | reload
"""

from __future__ import annotations

import json
import os
import sys

from scenarios.suites.autonomy.programs.answering import Refused, Wrong, ask, described

__all__ = ["main"]


def main(verb: str) -> str:
    """Print what the beacon answers, and return what went wrong."""
    try:
        answer = ask(f"127.0.0.1:{described('beacon.conf')['port']}", f"/{verb}", {})
    except (Refused, Wrong) as fault:
        return f"beaconctl: {fault}"
    sys.stdout.write(json.dumps(answer) + "\n")
    return ""


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    if wrong := main(sys.argv[1]) if len(sys.argv) == 2 else __doc__:
        sys.exit(wrong)
