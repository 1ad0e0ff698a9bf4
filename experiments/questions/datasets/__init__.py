"""Data sets: files, the Hugging Face hub, and tasks that generate questions."""
