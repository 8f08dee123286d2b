"""The scenarios that come with redline, by family."""

__all__: list[str] = []
