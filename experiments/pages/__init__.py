"""Pages that only this user of this machine can open."""
