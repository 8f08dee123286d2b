"""The warden itself: a program of its own, started from these files, with nothing else of ours."""
