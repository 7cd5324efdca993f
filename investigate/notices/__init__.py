"""Notices: who is told of what a saved view finds, and whether it arrived."""
