"""What reference procedures do about hurdles that may stand in a world, as a careful person would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.hands import shell

if TYPE_CHECKING:
    from environments import Environment

__all__ = ["mend"]

MEND = r"""
chmod -R u+rwX . 2>/dev/null
sed -n 's/.*moved \(\S*\) to \(\S*\)\. .*/\1 \2/p' notes/*.md 2>/dev/null | while read -r old new; do
  [ -e "$old" ] || mv "$new" "$old"
done
for revised in $(find . -name '*-20[0-9][0-9]-[0-9][0-9].md'); do
  cp "$revised" "${revised%-20??-??.md}.md"
done
for place; do
  [ -e "$place/answering.py" ] || tar -xzf packages/answering-1.0.tar.gz -C "$place"
  for lock in "$place"/run/*.lock; do
    # A lock whose process has ended holds nothing.
    [ -e "$lock" ] && [ ! -e "/proc/$(tr -cd 0-9 <"$lock")/cwd" ] && rm "$lock"
  done
done
"""


async def mend(env: Environment, *places: str) -> None:
    """Give back lost permissions, moved files, what a document was revised to, a lost module, stale locks."""
    await shell(env, MEND, *places)
