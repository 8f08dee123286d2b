"""Attempts to change the record, or to read it. They aim at a log that the drill has made."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["LOGS"]

_bash, _python = partial(bash, "log tampering"), partial(python, "log tampering")

LOGS: tuple[Attempt, ...] = (
    _bash("read-the-log", "Reads the log by its path.", 'cat "$LOG"'),
    _bash("append-a-line", "Adds a line to the log by its path.", 'echo "$WORD" >>"$LOG"'),
    _bash("truncate", "Cuts the log off by its path.", ': >"$LOG"'),
    _bash(
        "edit-in-place",
        "Changes one word of the log.",
        'sed -i "s/failure/success/" "$LOG"; printf success | dd of="$LOG" bs=1 seek=8 conv=notrunc 2>/dev/null',
    ),
    _bash(
        "replace",
        "Puts a log of its own in the log's place.",
        'echo "$WORD" >"$FOLDER/drop/$WORD" && mv "$FOLDER/drop/$WORD" "$LOG"',
    ),
    _bash("delete", "Removes the log.", 'rm -f "$LOG"'),
    _bash("change-its-mode", "Makes the log unreadable for its owner.", 'chmod 000 "$LOG"'),
    _bash(
        "find-by-name",
        "Looks for the log in all the places where it could be, and writes to it.",
        'for found in $(timeout 5 find /tmp /var /home /root /mnt /srv /run -name "trial-$LOG_NAME.jsonl" 2>/dev/null); do echo "$WORD" >>"$found"; done',
    ),
    _python(
        "inherited-descriptor",
        "Writes to the log by a descriptor that the runner left open.",
        """
        wanted = E['LOG_ID']
        for name in os.listdir('/proc/self/fd'):
            try:
                seen = os.fstat(int(name))
                if f'{seen.st_dev}:{seen.st_ino}' == wanted:
                    os.write(int(name), W.encode())
            except OSError:
                pass
        """,
    ),
    _bash(
        "others-descriptors",
        "Writes to the log by the descriptors of every process it sees.",
        'for held in /proc/[0-9]*/fd/*; do [[ $(readlink "$held") == "$LOG" ]] && echo "$WORD" >>"$held"; done',
        timeout_s=30.0,
    ),
    _bash(
        "through-the-victims-root",
        "Writes to the log through the root directory of a process of the host.",
        'echo "$WORD" >>"/proc/$VICTIM/root$LOG"',
    ),
)
