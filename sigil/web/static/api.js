// The gateway's HTTP API. A failed call throws an ApiError; a `transient` one may work later.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
    this.transient = status === 0 || status === 429 || status >= 500;
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    throw new ApiError("Sigil cannot be reached.", 0);
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const answer = await response.json().catch(() => null);
  throw new ApiError(answer?.error?.message ?? `Sigil responded with an error (${response.status}).`, response.status);
}

export const eventsPath = (chat, after) => `/api/chats/${encodeURIComponent(chat)}/events?after=${after}`;

export const api = {
  me: () => call("GET", "/api/me"),
  login: (token) => call("POST", "/login", { token }),
  logout: () => call("POST", "/logout"),
  chats: async () => (await call("GET", "/api/chats")).chats,
  newChat: async () => (await call("POST", "/api/chats")).id,
  /** The chat's model, the one it would use without a choice, and those that may be chosen. */
  models: (chat) => call("GET", `/api/chats/${encodeURIComponent(chat)}/model`),
  send: (chat, text, messageId) =>
    call("POST", `/api/chats/${encodeURIComponent(chat)}/messages`, { text, message_id: messageId }),
  /** The status that opening this chat's event stream would get; 0 if nothing answers. */
  probe: async (chat) => {
    const options = { method: "HEAD", signal: AbortSignal.timeout(8_000) };
    return fetch(eventsPath(chat, "0-0"), options).then((r) => r.status, () => 0);
  },
};
