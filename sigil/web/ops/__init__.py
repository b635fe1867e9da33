"""For those who run Sigil: health and metrics."""
