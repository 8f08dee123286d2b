"""What can go wrong with a study, as opposed to with one of its trials.

AblationFault
├── DesignFault        the study as written cannot be run
├── FolderFault        the study's folder cannot be used
│   ├── FolderBusy     another runner holds it
│   ├── OtherStudy     it holds something else than this study
│   └── DiskFull       it has no room left
├── SubjectMissing     the server that redline starts for a subject does not come to answer
├── RecordFault        a record was edited, cut, dropped or copied; `place` says where
└── NameUnknown        a name on the command line means nothing

Each message is one line and names the mend. None of them is ever a trial's outcome.
"""

from __future__ import annotations

__all__ = [
    "AblationFault",
    "DesignFault",
    "DiskFull",
    "FolderBusy",
    "FolderFault",
    "NameUnknown",
    "OtherStudy",
    "RecordFault",
    "SubjectMissing",
]


class AblationFault(Exception):
    """The study, not a trial, failed."""


class DesignFault(AblationFault):
    """The study as written cannot be run."""


class FolderFault(AblationFault):
    """The study's folder cannot be used."""


class FolderBusy(FolderFault):
    """Another runner holds the folder."""


class OtherStudy(FolderFault):
    """The folder holds something else than this study."""


class DiskFull(FolderFault):
    """The folder's file system has no room left. Every line written before stands."""


class SubjectMissing(AblationFault):
    """A subject cannot be had, as the server that redline was to start for it. No trial began."""


class RecordFault(AblationFault):
    """A record is not what was written."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem


class NameUnknown(AblationFault):
    """A name on the command line means nothing."""
