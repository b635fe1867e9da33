"""What leaves Sigil: replies to platforms, and drafts of turns that run."""
