"""The attempts, one file a class. Each is a line of text for a person and a few lines for a machine."""
