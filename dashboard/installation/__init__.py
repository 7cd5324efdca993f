"""The installation itself: what its admins set, and whether everything it needs is there."""
