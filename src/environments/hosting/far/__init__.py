"""What redline sends to the hosts that its own programs run on. It knows nothing but Python's own library."""
