"""Help with patterns before they are saved."""
