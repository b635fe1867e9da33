"""`sigil gateway`: the process with the listeners and the HTTP server."""

from __future__ import annotations

import typer

from sigil.cli.frame import Host, Port, make_app, prepare_process

app = make_app()


@app.command()
def gateway(ctx: typer.Context, host: Host = None, port: Port = None) -> None:
    """Run the gateway: listeners, web page, HTTP API."""
    from sigil.cli import gateway as process

    process.run(prepare_process(ctx, "gateway", GATEWAY__HOST=host, GATEWAY__PORT=port))
