"""The operating system behind one face: paths, locks, processes, spawning, watching, credentials."""
