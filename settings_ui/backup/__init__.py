"""All settings of the account as one file, compared with the account later, and selected entries put back."""
