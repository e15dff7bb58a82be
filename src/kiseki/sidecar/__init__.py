"""The process beside the training: it follows run files, makes them durable, uploads them, notices deaths."""
