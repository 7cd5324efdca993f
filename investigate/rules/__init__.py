"""Rules from a message: block its sender, accept it for a time, guard a name it misuses."""
