"""A false positive put right in one go: release, submit as clean, and if wanted a rule that accepts the sender."""
