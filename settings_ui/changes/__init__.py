"""Changes of the account's settings: decided by somebody, written down, sent, and looked for where no answer came."""
