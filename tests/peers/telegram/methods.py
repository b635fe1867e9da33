"""The methods of the API that the server knows, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.peers.telegram import limits
from tests.peers.telegram.bot import Bot, Chat
from tests.peers.telegram.limits import ApiError, bad
from tests.peers.telegram.params import Params
from tests.peers.telegram.updates import Updates

Method = Callable[[Bot, Params], Awaitable[Any]]
_GENERAL = 1
_OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
_ACTIONS = {"typing", "upload_photo", "record_video", "upload_video", "record_voice"}
_ACTIONS |= {"upload_voice", "upload_document", "choose_sticker", "find_location"}
_REACTIONS = {"👍", "👎", "❤", "🔥", "🎉", "👀", "🤔", "👌"}


async def get_me(bot: Bot, p: Params) -> Any:
    return bot.me()


# ---------------------------------------------------------------- receiving


async def get_updates(bot: Bot, p: Params) -> Any:
    limit = min(max(p.number("limit", 100), 1), 100)
    allowed = p.value("allowed_updates")
    return await bot.updates.poll(p.number("offset", 0), limit, p.number("timeout", 0), allowed)


async def set_webhook(bot: Bot, p: Params) -> Any:
    _hook(bot.updates, p, p.text("url"))
    return True


async def delete_webhook(bot: Bot, p: Params) -> Any:
    if p.flag("drop_pending_updates"):
        bot.updates.pending.clear()
    bot.updates.hook.set_at = 0.0
    bot.updates.set_hook("", "", 40, None)
    bot.updates.hook.set_at = 0.0
    return True


def _hook(updates: Updates, p: Params, url: str) -> None:
    most, allowed = p.number("max_connections", 40), p.value("allowed_updates")
    updates.set_hook(url, p.text("secret_token"), most, allowed)


async def get_webhook_info(bot: Bot, p: Params) -> Any:
    return bot.updates.info()


async def get_file(bot: Bot, p: Params) -> Any:
    file = bot.files.get(p.text("file_id"))
    if file is None:
        raise bad("wrong file_id or the file is temporarily unavailable")
    if file.size > limits.DOWNLOAD:
        raise bad("file is too big")
    file_id = p.text("file_id")
    found = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": file.size}
    return found | {"file_path": f"documents/{file_id}/{file.name}"}


# ---------------------------------------------------------------- sending


def _place(bot: Bot, p: Params) -> tuple[Chat, int | None]:
    """The chat, and the thread in it. The General topic must not be named."""
    chat = bot.find_chat(p.number("chat_id", 0))
    thread = p.number("message_thread_id", 0) or None
    may_be = chat.topics if chat.is_forum or bot.has_topics else set()
    if thread is not None and (thread == _GENERAL or thread not in may_be):
        raise bad("message thread not found")
    return chat, thread


def _check_reply(chat: Chat, p: Params) -> None:
    reply = p.value("reply_parameters") or {"allow_sending_without_reply": True}
    may_lack = reply.get("allow_sending_without_reply")
    if not may_lack and reply.get("message_id") not in chat.messages:
        raise bad("message to be replied not found")


def _fields(p: Params, *names: str) -> dict[str, Any]:
    return {name: p.value(name) for name in names if p.value(name) is not None}


async def send_message(bot: Bot, p: Params) -> Any:
    chat, thread = _place(bot, p)
    entities = p.value("entities") or []
    limits.check_text(p.text("text"), entities, p.text("parse_mode"))
    limits.check_keyboard(p.value("reply_markup"))
    _check_reply(chat, p)
    fields = _fields(p, "entities", "reply_markup", "reply_parameters", "link_preview_options")
    return bot.post(chat, thread, {"text": p.text("text").strip(), **fields})


async def send_draft(bot: Bot, p: Params) -> Any:
    chat, thread = _place(bot, p)
    if chat.type != "private":
        raise bad("TEXTDRAFT_PEER_INVALID")
    if p.number("draft_id", 0) == 0:
        raise bad("draft_id must be non-zero")
    text, entities = p.text("text"), p.value("entities") or []
    if text.strip():
        limits.check_text(text, entities, p.text("parse_mode"))
    bot.note(chat, "draft", None, text, thread, _fields(p, "draft_id", "entities", "can_stop"))
    return True


async def edit_text(bot: Bot, p: Params) -> Any:
    chat = bot.find_chat(p.number("chat_id", 0))
    message = chat.messages.get(p.number("message_id", 0))
    if message is None:
        raise bad("message to edit not found")
    if message["from"]["id"] != bot.id:
        raise bad("message can't be edited")
    entities = p.value("entities") or []
    limits.check_text(p.text("text"), entities, p.text("parse_mode"))
    limits.check_keyboard(p.value("reply_markup"))
    fields = _fields(p, "entities", "reply_markup")
    changed = {"text": p.text("text").strip(), **fields}
    before = {
        name: message[name] for name in ("text", "entities", "reply_markup") if name in message
    }
    if changed == before:
        raise bad(_NOT_MODIFIED)
    for name in ("entities", "reply_markup"):
        message.pop(name, None)
    message |= changed
    thread = message.get("message_thread_id")
    bot.note(chat, "edited", message["message_id"], changed["text"], thread, fields)
    return message


async def send_action(bot: Bot, p: Params) -> Any:
    chat, thread = _place(bot, p)
    if p.text("action") not in _ACTIONS:
        raise bad("wrong parameter action in request")
    if chat.type == "channel":
        raise bad("can't send chat actions to a channel")
    bot.note(chat, "typing", thread=thread)
    return True


async def set_reaction(bot: Bot, p: Params) -> Any:
    chat = bot.find_chat(p.number("chat_id", 0))
    wanted = p.value("reaction") or []
    if p.number("message_id", 0) not in chat.messages:
        raise bad("message to react not found")
    if len(wanted) > 1 or any(each.get("emoji") not in _REACTIONS for each in wanted):
        raise bad("REACTION_INVALID")
    bot.note(chat, "reaction", p.number("message_id", 0), "".join(e["emoji"] for e in wanted))
    return True


def _upload(kind: str) -> Method:
    async def send(bot: Bot, p: Params) -> Any:
        chat, thread = _place(bot, p)
        caption, entities = p.text("caption"), p.value("caption_entities") or []
        limits.check_caption(caption, entities)
        file = _take_file(bot, p, kind, p.text(kind) or f"attach://{kind}")
        limits.check_keyboard(p.value("reply_markup"))
        _check_reply(chat, p)
        fields = {"caption": caption} if caption else {}
        fields |= {"caption_entities": entities} if entities else {}
        fields |= _fields(p, "reply_markup", "reply_parameters")
        return bot.post(chat, thread, {kind: file, **fields})

    return send


def _take_file(bot: Bot, p: Params, kind: str, named: str) -> dict[str, Any]:
    """An uploaded file, or the id of one that the server has."""
    name, _, data = p.files.get(named.removeprefix("attach://"), ("", "", None))
    if data is None:
        if named not in bot.files:
            raise bad("wrong remote file identifier specified: Wrong character in the string")
        return {"file_id": named, "file_unique_id": f"u{named}"}
    if not data:
        raise bad("file must be non-empty")
    if len(data) > (limits.PHOTO if kind == "photo" else limits.UPLOAD):
        raise ApiError(413, "Request Entity Too Large")
    if kind == "photo" and not data.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF")):
        raise bad("IMAGE_PROCESS_FAILED")
    file_id = f"F{len(bot.files) + 1}"
    bot.keep(file_id, data, name)
    return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_name": name}


async def send_group(bot: Bot, p: Params) -> Any:
    chat, thread = _place(bot, p)
    media = p.value("media") or []
    if not 2 <= len(media) <= 10:
        raise bad("there must be from 2 to 10 messages in an album")
    kinds = {each.get("type") for each in media}
    if kinds - {"photo", "video", "document", "audio"}:
        raise bad("unsupported type of media in an album")
    if len(kinds) > 1 and kinds & {"document", "audio"}:
        raise bad("documents and audio can't be mixed with other media types")
    for each in media:
        limits.check_caption(each.get("caption", ""), each.get("caption_entities") or [])
    _check_reply(chat, p)
    files = [_take_file(bot, p, each["type"], each["media"]) for each in media]
    album = f"album{chat.next_id}"
    return [
        bot.post(
            chat,
            thread,
            {each["type"]: file, "caption": each.get("caption", ""), "media_group_id": album},
        )
        for each, file in zip(media, files, strict=True)
    ]


# ---------------------------------------------------------------- the rest


async def set_commands(bot: Bot, p: Params) -> Any:
    commands = p.value("commands") or []
    limits.check_commands(commands)
    bot.commands = commands
    return True


async def answer_callback(bot: Bot, p: Params) -> Any:
    query = p.text("callback_query_id")
    if bot.callbacks.get(query) is not False:
        raise bad(_OLD_QUERY)
    if len(p.text("text")) > 200:
        raise bad("MESSAGE_TOO_LONG")
    bot.callbacks[query] = True
    return True


METHODS: dict[str, Method] = {
    "getMe": get_me,
    "getUpdates": get_updates,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "getFile": get_file,
    "sendMessage": send_message,
    "sendMessageDraft": send_draft,
    "editMessageText": edit_text,
    "sendChatAction": send_action,
    "setMessageReaction": set_reaction,
    "sendPhoto": _upload("photo"),
    "sendDocument": _upload("document"),
    "sendVoice": _upload("voice"),
    "sendAudio": _upload("audio"),
    "sendVideo": _upload("video"),
    "sendMediaGroup": send_group,
    "setMyCommands": set_commands,
    "answerCallbackQuery": answer_callback,
}
