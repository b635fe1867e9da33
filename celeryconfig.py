"""Settings for Celery. `workers.broker` says where the broker is and how to talk to it.

A Celery message is a hint, "look at lane K", and losing or doubling one does no harm
(docs/decisions/0003-celery-carries-wakeups-only.md). So messages are acknowledged early, and
there are no results, no retries and no rate limits.
"""

from workers.queues import QUEUES, ROUTES  # noqa: TID253  # Celery's file, not Sigil's

imports = ("workers.routing", "workers.agent", "workers.outbound")

task_queues = QUEUES
task_routes = ROUTES
task_create_missing_queues = False
task_default_queue = "sigil.routing"

accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
result_serializer = "json"

task_acks_late = False
task_ignore_result = True
task_publish_retry = False
task_track_started = False
worker_disable_rate_limits = True

worker_pool = "workers.pool:LoopPool"
worker_consumer = "workers.base:QuietConsumer"
worker_disable_prefetch = True
worker_prefetch_multiplier = 1
# Nothing is redelivered, so there is nothing to cancel or to slow down after a lost connection.
worker_cancel_long_running_tasks_on_connection_loss = False
worker_enable_prefetch_count_reduction = False
worker_enable_remote_control = True  # Flower needs it
worker_send_task_events = False  # they nearly double the traffic; Flower or -E turns them on
worker_hijack_root_logger = False
worker_redirect_stdouts = False
enable_utc = True

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
