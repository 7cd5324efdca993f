"""The life of entries: rules that are made for a time, whose each entry is, and when it goes."""
