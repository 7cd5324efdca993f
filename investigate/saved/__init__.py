"""Saved views: searches with a name, and what each has found since somebody looked."""
