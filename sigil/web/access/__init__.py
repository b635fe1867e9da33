"""Who may ask: where a request may come from, who sends it, and signing in and out."""
