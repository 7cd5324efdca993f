"""Files for others: lists, indicators and case reports."""
