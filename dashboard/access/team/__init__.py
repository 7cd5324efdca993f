"""The team: who is in it, what each role may do, and how people come and go."""
