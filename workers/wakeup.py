"""A wake-up as it lies in the broker: a task message of Celery's protocol 2.

    build_message(task, lanes)   written by the publisher
    read_arguments(request)      read by the task

A wake-up names one lane or many of one kind. The first is the task's argument, the others stand
in a header. So a worker of a version that knows nothing of many lanes sees a task with one lane,
and the sweep finds the rest.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

MOST_TOGETHER = 32
MORE_LANES = "more_lanes"
_ORIGIN = f"{os.getpid()}@{socket.gethostname()}"
_EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def build_message(task: str, lanes: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """The body and the headers of a task message. There is at least one lane."""
    task_id = str(uuid.uuid4())
    first, *others = lanes
    headers: dict[str, Any] = {
        "lang": "py",
        "task": task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": f"({first!r},)",
        "kwargsrepr": "{}",
        "origin": _ORIGIN,
        "ignore_result": True,
    }
    if others:
        headers[MORE_LANES] = others
        headers["argsrepr"] = f"({first!r}, and {len(others)} more)"
    return [[first], {}, _EMBEDDED], headers


def encode_message(queue: str, body: Sequence[Any], headers: Mapping[str, Any]) -> str:
    """The message as kombu's Redis transport keeps it in a queue's list."""
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "correlation_id": headers["id"],
                "reply_to": "",
                "delivery_mode": 2,
                # The default exchange delivers to the queue of that name.
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": headers["id"],
            },
        }
    )


def read_arguments(request: Mapping[str, Any]) -> list[Any]:
    """What a task message names as lanes, unchecked. Empty if it has another form."""
    args, others = request.get("args"), request.get(MORE_LANES, [])
    if not isinstance(args, list) or not isinstance(others, list) or request.get("kwargs"):
        return []
    return [*args, *others] if len(args) == 1 and len(others) < MOST_TOGETHER else []
