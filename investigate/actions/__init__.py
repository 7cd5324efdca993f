"""Act on messages: release, move, reclassify; written down first, sent once, settled by looking."""
