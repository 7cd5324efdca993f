"""Lists of the settings as CSV files: out, and back in with a dry run before anything is sent."""
