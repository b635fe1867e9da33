"""E-mail: IMAP in, SMTP out.

listener ── mailbox ──▶ raw mail ──▶ mail (parsed) ──▶ screening ──▶ receive
sender   ── compose ──▶ SMTP, under a Message-ID that is fixed by the delivery
"""
