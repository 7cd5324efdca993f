"""Help with patterns before they are saved: what is wrong, what would have matched, what would be dangerous."""
