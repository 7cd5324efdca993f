"""The second person: what takes two, who may decide it, and what becomes of the request."""
