"""Translates vLLM's exceptions into ours, each on one line."""

from __future__ import annotations

from http import HTTPStatus

from nbest.orchestrator.errors import (
    BackendError,
    EngineDead,
    Overloaded,
    RequestRejected,
    first_line,
)

# vLLM may answer a wrong setting with the list of all models that it knows.
SHOWN_CHARACTERS = 200


def backend_error(error: BaseException) -> BackendError:
    """Return our error: the request was wrong, the engine full, the engine dead, or unknown."""
    from vllm.exceptions import GracefulHTTPError, RetryableRequestError, VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    if isinstance(error, EngineGenerateError) and error.__cause__ is not None:
        return backend_error(error.__cause__)  # it wraps the failure, and says nothing itself
    if isinstance(error, BackendError):
        return error
    if isinstance(error, EngineDeadError):
        return EngineDead(first_line(error))
    if isinstance(error, RetryableRequestError):
        return Overloaded(first_line(error))
    # QueueOverflowError and MaxQueuedTokensError, and not the conflict of two profilers.
    if isinstance(error, GracefulHTTPError) and error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Overloaded(first_line(error))
    if isinstance(error, VLLMClientError | ValueError | TypeError):
        return RequestRejected(first_line(error))
    return BackendError(f"{type(error).__name__}: {first_line(error)}")


def setting_error(error: Exception) -> str:
    """Say what is wrong with a setting; the first line of a pydantic error is only a count."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return first_line(error)
    detail = error.errors(include_url=False)[0]
    key = f"{detail['loc'][0]}: " if detail["loc"] else ""
    return f"{key}{detail['msg'].removeprefix('Value error, ')}".splitlines()[0][:SHOWN_CHARACTERS]
