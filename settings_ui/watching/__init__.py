"""What happens to the account's lists, by us or elsewhere: each is read as a whole now and then and compared.

`reading` reads, `comparing` finds and keeps the differences, `queries` tells what is known.
"""

from __future__ import annotations

from settings_ui.watching.queries import Count, counts, mirror, mirrored, own_domains, recent
from settings_ui.watching.reading import read_whole
from settings_ui.watching.rounds import read_list, read_lists

__all__ = [
    "Count",
    "counts",
    "mirror",
    "mirrored",
    "own_domains",
    "read_list",
    "read_lists",
    "read_whole",
    "recent",
]
