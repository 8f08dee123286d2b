"""Make the month's statement from orders, terms, and what the peers charge.

python3 -IS tally.py --month MONTH PEER=PORT ... [--all] [--wait SECONDS]
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

__all__ = ["main"]

HERE = Path(__file__).parent
PRINT_BYTES = 8 << 20


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Make the parts that are due, then the statement and its print."""
    parser = ArgumentParser()
    parser.add_argument("--month", required=True)
    parser.add_argument("peers", nargs="+", metavar="PEER=PORT")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--wait", type=float, default=2.0)
    given = parser.parse_args()
    os.chdir(HERE)
    sys.path.insert(0, str(HERE / "lib"))
    lib = {name: importlib.import_module(name) for name in ("sums", "columns", "months", "asking")}
    regions = Path("regions.txt").read_text().split()
    charges = ask(given, lib["asking"])
    for region in regions:
        make(region, given, charges, lib)
    parts = [check(region, given.month, lib["months"]) for region in regions]
    text = lib["sums"].statement(given.month, parts)
    Path("out/statement.txt").write_text(text)
    page = text.encode()
    with Path("out/statement.print").open("wb") as file:
        file.write((page * (PRINT_BYTES // len(page) + 1))[:PRINT_BYTES])
    say(f"out/statement.txt: {len(parts)} regions of {given.month}")


def ask(given: Namespace, asking: Any) -> dict[str, dict[str, int]]:
    """Ask every peer once."""
    charges = {}
    for each in given.peers:
        name, _, port = each.partition("=")
        try:
            charges[name] = asking.charges(int(port), given.wait)
        except TimeoutError:
            sys.exit(f"tally: {name} did not answer on port {port} within {given.wait:g} s")
        except OSError as fault:
            sys.exit(f"tally: {name} does not answer on port {port}: {fault}")
    return charges


def make(region: str, given: Namespace, charges: dict[str, dict[str, int]], lib: dict[str, Any]) -> None:
    """Make one region's part, where it is due."""
    orders, part, lock = (
        Path(f"{folder}/{region}.{end}")
        for folder, end in (("orders", "csv"), ("parts", "txt"), ("run", "lock"))
    )
    if lock.exists():
        sys.exit(f"tally: {lock} is there: process {lock.read_text().strip()} works on {region}")
    if not given.all and part.exists() and part.stat().st_mtime > orders.stat().st_mtime:
        say(f"{region}: up to date")
        return
    lock.write_text(f"{os.getpid()}\n")
    try:
        amounts = lib["columns"].amounts(str(orders))
        days = json.loads(Path(f"terms/{region}.json").read_text())["days"]
        own = {name: by_region[region] for name, by_region in charges.items()}
        part.write_text(lib["sums"].part(region, given.month, days, amounts, own))
    finally:
        lock.unlink()
    say(f"{region}: made from {len(amounts)} orders")


def check(region: str, month: str, months: Any) -> str:
    """Return a region's part, if it is of the month."""
    part = Path(f"parts/{region}.txt").read_text()
    if (found := months.month_of(part)) != month:
        sys.exit(
            f"tally: parts/{region}.txt is of {found}, not of {month}, "
            f"and by its time stamp younger than orders/{region}.csv"
        )
    return part


if __name__ == "__main__":
    main()
