"""Parts of a pool sample from objects of OpenAI's API, which several programs write down."""

from __future__ import annotations

from typing import Any

from nbest.experiments.runs.exchange.foreign.rows import Row, set_keys

MESSAGE_ROLES = ("system", "user", "assistant")


def content_of(message: Row) -> tuple[str, str]:
    """The text of a message, and its reasoning; of a content in parts, that of the parts."""
    content = message.get("content")
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        thoughts = [
            str(part.get("reasoning", "")) for part in parts if part.get("type") == "reasoning"
        ]
        reasoning = "".join(thoughts) or reasoning
        content = "".join(
            str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type')}]"
            for part in parts
            if part.get("type") != "reasoning"
        )
    return content if isinstance(content, str) else "", str(reasoning)


def prompt_keys(messages: object) -> Row:
    """The prompt of a line: a chat where all turns are such as a pool takes, else a text."""
    if isinstance(messages, str):
        return {"prompt": messages}
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        return {}
    turns = [(str(turn.get("role")), content_of(turn)[0]) for turn in messages]
    if all(role in MESSAGE_ROLES for role, _ in turns):
        return {"messages": [{"role": role, "content": text} for role, text in turns]}
    return {"prompt": "\n".join(f"[{role}] {text}" for role, text in turns)}


def token_keys(logprobs: object) -> Row:
    """Log-probabilities of a choice, with those of the likeliest tokens where all have as many."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content or not all(map(_has_logprob, content)):
        return {}
    found: Row = {"logprobs": [min(0.0, token["logprob"]) for token in content]}
    tops: list[list[dict[str, Any]]] = [token.get("top_logprobs") or [] for token in content]
    are_known = all(_has_logprob(one) and "token" in one for top in tops for one in top)
    if tops[0] and are_known and len({len(top) for top in tops}) == 1:
        ordered = [sorted(top, key=lambda one: -one["logprob"]) for top in tops]
        found["top_logprobs"] = [[min(0.0, one["logprob"]) for one in top] for top in ordered]
        found["top_tokens"] = [[one["token"] for one in top] for top in ordered]
    return found


def _has_logprob(token: object) -> bool:
    return isinstance(token, dict) and isinstance(token.get("logprob"), int | float)


def choice_sample(choice: Row, tokens: object) -> Row:
    """A pool sample of a choice of a completion; `tokens` were generated for it, where known."""
    message = choice.get("message")
    text, reasoning = content_of(
        message if isinstance(message, dict) else {"content": choice.get("text")}
    )
    found = token_keys(choice.get("logprobs"))
    count = len(found["logprobs"]) if found else tokens
    return set_keys(
        {
            "text": text,
            "reasoning": reasoning or None,
            "finish_reason": choice.get("finish_reason") or choice.get("stop_reason"),
            "tokens": count if isinstance(count, int) else None,
            **found,
        }
    )
