"""What a region owes, in cents."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["charged", "part", "statement"]


def charged(amounts: Sequence[int], charges: Mapping[str, int]) -> int:
    """Return what orders come to: rates and discounts are per mille, postage is for each order."""
    net = sum(amounts)
    return (
        net
        + net * charges["rates"] // 1000
        - net * charges["discounts"] // 1000
        + len(amounts) * charges["postage"]
        + charges["duties"]
    )


def part(region: str, month: str, days: int, amounts: Sequence[int], charges: Mapping[str, int]) -> str:
    """Return a region's part of the statement."""
    return f"month {month}\n{region}: {charged(amounts, charges)} cents, due in {days} days\n"


def statement(month: str, parts: Sequence[str]) -> str:
    """Return the whole statement from its parts, in order."""
    lines = [each.splitlines()[1] for each in parts]
    total = sum(int(line.split()[1]) for line in lines)
    return "\n".join([f"statement of {month}", *lines, f"total: {total} cents", ""])
