"""Work on many messages at once: collected, rehearsed, decided, carried out in chunks."""
