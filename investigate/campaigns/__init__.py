"""Messages that are one campaign: who got it, where each copy is now, one decision for all."""
