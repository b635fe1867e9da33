"""The generic webhook: any program can hand messages in and gets the replies posted back."""
