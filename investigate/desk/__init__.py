"""The desk the team shares: who has which message, what it thinks of it, and what changed just now."""
