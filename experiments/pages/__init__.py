"""Pages: those that only this user of this machine can open, and those in files."""
