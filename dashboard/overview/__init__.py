"""The overview: what needs somebody now, and pictures of what happened."""
