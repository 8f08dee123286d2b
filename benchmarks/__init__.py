"""What redline costs, as ratios to a bare floor and to a peer measured in the same run."""
