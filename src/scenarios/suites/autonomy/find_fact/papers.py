"""An office's papers: hundreds about other things, and the few that decide what one station's call sign is.

Which papers there are repeats by seed. What call signs they name is new each time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from random import Random
from string import ascii_uppercase, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRADES", "NEAR_MISSES", "STATION", "Grade", "Office", "Paper", "call_sign"]

STATION = "Nordhaven"
RENAMED = "Skagen Light"
NEAR_MISSES = ("Norhaven", "Nordhafen", "Nordhaven West")
OTHERS = ("Ulvsund", "Greyholm", "Tern Rock", "Kallvik", "Eastmole", "Lindesey", "Sandbar", "Hvalnes")
KINDS: Mapping[str, str] = {
    "Frequency": "The frequency of {station} is {number} kHz.",
    "Keeper": "The keeper of {station} can be reached at extension {number}.",
    "Light": "The light of {station} shows every {number} ms.",
    "Mast": "The mast of {station} was measured again; it is {number} mm out of the vertical.",
    "Power": "The transmitter of {station} runs at {number} mW.",
    "Stores": "{number} crates were landed at {station} with the spring boat.",
}


@dataclass(frozen=True, kw_only=True)
class Grade:
    """How hard the fact is to find."""

    papers: int
    near_misses: bool = True
    """Papers on stations of nearly the same name."""
    withdrawals: int = 0
    """0: none. 1: a newer paper was withdrawn. 2: so was the withdrawal of the one that holds."""
    register: bool = False
    """The paper that holds refers to a register's entry."""
    parts: bool = False
    """It refers to another paper for the ending, and that one was superseded."""
    renamed: bool = False
    """The station has another name by now."""


GRADES: Mapping[int, Grade] = {
    1: Grade(papers=40, near_misses=False),
    2: Grade(papers=120, withdrawals=1),
    3: Grade(papers=250, withdrawals=1, register=True),
    4: Grade(papers=400, withdrawals=2, register=True, parts=True),
    5: Grade(papers=600, withdrawals=2, register=True, parts=True, renamed=True),
}


@dataclass(eq=False, kw_only=True)
class Paper:
    """One paper. Its reference is given when all are there, by date."""

    date: str
    subject: str
    text: str
    status: str = "in force"
    supersedes: Paper | None = None
    withdraws: Paper | None = None
    cited: Paper | None = None
    """Named in the text as {cited}."""
    ref: str = ""

    @property
    def path(self) -> str:
        """Below the office's directory."""
        return f"{self.date[:4]}/{self.date[5:7]}/{self.ref}.txt"

    def rendered(self) -> str:
        """Return the paper as it is filed."""
        head = [
            f"Ref: {self.ref}",
            f"Date: {self.date}",
            f"Status: {self.status}",
            f"Subject: {self.subject}",
        ]
        if self.supersedes is not None:
            head.append(f"Supersedes: {self.supersedes.ref}")
        if self.withdraws is not None:
            head.append(f"Withdraws: {self.withdraws.ref}")
        text = self.text.replace("{cited}", self.cited.ref if self.cited is not None else "")
        return "\n".join([*head, "", text, ""])


def call_sign() -> str:
    """Return a call sign that nobody can know."""
    return f"{_draw(ascii_uppercase, 2)}-{_draw(digits, 4)}-{_draw(ascii_uppercase, 2)}"


def _draw(symbols: str, count: int) -> str:
    return "".join(secrets.choice(symbols) for _ in range(count))


@dataclass(kw_only=True)
class Office:
    """Papers and registers, and what follows from them."""

    papers: list[Paper] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    fact: str = field(default_factory=call_sign)
    used: str = field(default_factory=call_sign)
    """What the station used to have."""
    random: Random = field(default_factory=Random)

    @classmethod
    def drawn(cls, grade: Grade, seed: int) -> Office:
        """Fill an office."""
        office = cls(random=Random(f"find fact {seed}"))  # noqa: S311 -- worlds must repeat; facts do not
        office._decide(grade)
        if grade.near_misses:
            for station in NEAR_MISSES:
                office._sign_paper(office._date(2023, 2024), station, call_sign())
        while len(office.papers) < grade.papers:
            office._fill()
        office._number()
        return office

    def _decide(self, grade: Grade) -> None:
        """Write what decides the fact, and what could be taken for it."""
        station = RENAMED if grade.renamed else STATION
        old = self._sign_paper(self._date(2021, 2021), STATION, self.used)
        middle = self._sign_paper(self._date(2022, 2022), STATION, call_sign(), supersedes=old)
        if grade.renamed:
            self._write(
                date="2023-01-09",
                subject=f"Name of {STATION}",
                text=f"{STATION} is called {RENAMED} from now on.",
            )
        holds = self._holding(grade, station, middle)
        self._sign_paper(self._date(2024, 2024), station, call_sign(), status="draft", supersedes=holds)
        if grade.withdrawals > 0:
            newer = self._sign_paper("2024-03-11", station, call_sign(), supersedes=holds)
            self._withdrawal("2024-04-02", newer)
        if grade.withdrawals > 1:
            undone = self._withdrawal("2023-08-14", holds)
            self._withdrawal("2023-08-21", undone)

    def _holding(self, grade: Grade, station: str, before: Paper) -> Paper:
        """Write the paper that holds."""
        date = f"2023-0{self.random.randrange(2, 7)}-1{self.random.randrange(10)}"
        subject = f"Call sign of {station}"
        first, ending = self.fact[:-3], self.fact[-2:]
        cited = None
        if not grade.register:
            text = f"The call sign of {station} is {self.fact}."
        else:
            register, entry = f"R-{self.random.randrange(10, 100)}", f"E-{self.random.randrange(100, 1000)}"
            value = first if grade.parts else self.fact
            self.registers |= self._register(register, entry, value)
            text = f"The call sign of {station} is the one in register {register}, entry {entry}."
        if grade.parts:
            older = self._write(
                date="2022-05-30",
                subject="Endings of call signs",
                text=f"The ending is {_draw('ABCDEF', 2)}.",
            )
            cited = older
            text = (
                f"The call sign of {station} is what register {register} has as entry {entry}, a dash, and "
                "the ending that {cited} lays down, or what has superseded that."
            )
            self._write(
                date="2023-09-04",
                subject="Endings of call signs",
                text=f"The ending is {ending} from now on.",
                supersedes=older,
            )
        return self._write(date=date, subject=subject, text=text, supersedes=before, cited=cited)

    def _register(self, name: str, entry: str, value: str) -> dict[str, str]:
        """Return a register with an entry among many, and how it was before."""
        entries = [f"E-{number}" for number in sorted(self.random.sample(range(100, 1000), 40))]
        entries = sorted({*entries, entry})
        cut = len(value)
        now = "".join(f"{each} | {value if each == entry else call_sign()[:cut]}\n" for each in entries)
        before = "".join(f"{each} | {call_sign()[:cut]}\n" for each in entries)
        return {
            f"registers/{name}.txt": f"Register {name}\n\n{now}",
            f"registers/closed/{name}-2021.txt": f"Register {name}, closed at the end of 2021\n\n{before}",
        }

    def _withdrawal(self, date: str, paper: Paper) -> Paper:
        text = "The board has withdrawn {cited}."
        return self._write(date=date, subject="Withdrawal", text=text, withdraws=paper, cited=paper)

    def _sign_paper(
        self, date: str, station: str, sign: str, *, status: str = "in force", supersedes: Paper | None = None
    ) -> Paper:
        return self._write(
            date=date,
            subject=f"Call sign of {station}",
            text=f"The call sign of {station} is {sign}.",
            status=status,
            supersedes=supersedes,
        )

    def _fill(self) -> None:
        """Write a paper about something else."""
        random = self.random
        kind = random.choice(sorted(KINDS))
        station = random.choice((STATION, RENAMED, *NEAR_MISSES, *OTHERS))
        text = KINDS[kind].format(station=station, number=random.randrange(100, 10000))
        status = "draft" if random.random() < 0.1 else "in force"
        self._write(date=self._date(2020, 2024), subject=f"{kind} of {station}", text=text, status=status)
        if random.random() < 0.1:
            other = random.choice(OTHERS)
            self._sign_paper(self._date(2020, 2024), other, call_sign())

    def _write(
        self,
        *,
        date: str,
        subject: str,
        text: str,
        status: str = "in force",
        supersedes: Paper | None = None,
        withdraws: Paper | None = None,
        cited: Paper | None = None,
    ) -> Paper:
        paper = Paper(
            date=date,
            subject=subject,
            text=text,
            status=status,
            supersedes=supersedes,
            withdraws=withdraws,
            cited=cited,
        )
        self.papers.append(paper)
        return paper

    def _date(self, first: int, last: int) -> str:
        random = self.random
        return f"{random.randint(first, last)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"

    def _number(self) -> None:
        """Give every paper its reference; there are gaps, as some were never filed."""
        number = 100
        for paper in sorted(self.papers, key=lambda each: each.date):
            number += self.random.randint(1, 3)
            paper.ref = f"M-{paper.date[:4]}-{number}"
