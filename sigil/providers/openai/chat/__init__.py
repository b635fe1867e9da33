"""OpenAI's chat completions, which nearly every other server speaks too."""
