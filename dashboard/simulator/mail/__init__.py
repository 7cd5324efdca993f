"""The mail the simulator serves: invented (`generator`) or read from a folder of .eml files (`folder`)."""
