"""Find messages: criteria, shared runs of searches, several answers merged into one list."""
