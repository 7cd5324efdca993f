"""Reports of the managed service, to be read and taken into the queue."""
