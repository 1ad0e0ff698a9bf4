"""The files of a run folder: names, schemas, bytes."""
