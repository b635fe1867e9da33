"""What all vendors share is tested through one of them."""

from __future__ import annotations

from tests.providers.openai.conftest import provider as provider
from tests.providers.openai.conftest import running_server as running_server
from tests.providers.openai.conftest import server as server
