"""What the desk has seen: filled by every answer, kept as long as the team's rule says, asked without a call."""
