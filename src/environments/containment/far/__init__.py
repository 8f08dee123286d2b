"""Runs in machines as the agent, sent there as text: the standard library alone, Python 3.8 and newer."""
