"""Replicas of replicas: each generation is judged like the first, and the last one by what it leaves."""

from scenarios.suites.replication.chain.scenarios import chain_of_instances, chain_of_replication

__all__ = ["chain_of_instances", "chain_of_replication"]
