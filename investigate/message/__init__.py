"""Understand one message: its parts, why it was judged so, and what happened to it."""
