"""The functions of ``include/qaio.h``, one to one. Programs use :mod:`qaio`; this module is for what that leaves out."""

import ctypes
import ctypes.util
import enum
import os
import sys
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import List

QAIO_VERSION = "0.1.0"
QAIO_ABI_VERSION = 1


class Status(enum.IntEnum):
    """``qaio_status``: what a call came to."""

    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_UTF8 = 2
    EMPTY_TEXT = 3
    CONTEXT_OVERFLOW = 4
    UNKNOWN_OPTION = 5
    INVALID_OPTION = 6
    NOT_FOUND = 7
    IO = 8
    MODEL_INCOMPLETE = 9
    MODEL_CORRUPT = 10
    MODEL_UNSUPPORTED = 11
    MODEL_NOT_FINITE = 12
    MODEL_CONFLICT = 13
    CANCELLED = 14
    DEADLINE_EXCEEDED = 15
    BUSY = 16
    FORKED = 17
    OUT_OF_MEMORY = 18
    INTERNAL = 19
    INVALID_TASK = 20


class Polarity(enum.IntEnum):
    """``qaio_polarity``: the two ends of sentiment."""

    NEGATIVE = 0
    POSITIVE = 1


class StopReason(enum.IntEnum):
    """``qaio_stop_reason``: why a reply ended."""

    END = 0
    LENGTH = 1
    STOP_STRING = 2
    CALLBACK = 3
    CANCELLED = 4
    DEADLINE = 5


class LogLevel(enum.IntEnum):
    """``qaio_log_level``: how much to log."""

    OFF = 0
    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4


# Enums and handles as ctypes sees them; a handle is an address.
_status = _polarity = _stop_reason = c_int32
_handle = c_void_p
_text_out = c_void_p

#: ``qaio_callback``. It must not raise: ctypes would print the exception and go on.
qaio_callback = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)

_turn = [
    _handle, c_char_p, c_size_t, c_char_p, _handle, qaio_callback, qaio_callback, c_void_p, POINTER(_handle),
    POINTER(_handle),
]  # fmt: skip

#: Result and arguments of each function, in the order of the header.
FUNCTIONS = {
    "qaio_model_load": (_status, [c_char_p, c_char_p, _handle, POINTER(_handle)]),
    "qaio_model_load_memory": (_status, [c_char_p, c_size_t, c_char_p, _handle, POINTER(_handle)]),
    "qaio_model_info": (_status, [_handle, POINTER(_text_out), POINTER(c_size_t)]),
    "qaio_model_free": (None, [_handle]),
    "qaio_model_classify_sentiment": (_status, [_handle, c_char_p, c_size_t, POINTER(_polarity), POINTER(c_double)]),
    "qaio_model_sentiment": (_status, [_handle, c_char_p, c_size_t, c_char_p, _handle, POINTER(_handle)]),
    "qaio_sentiment_polarity": (_polarity, [_handle]),
    "qaio_sentiment_score": (c_double, [_handle]),
    "qaio_sentiment_label_mass": (c_double, [_handle]),
    "qaio_sentiment_unsure": (c_int32, [_handle]),
    "qaio_sentiment_label": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_sentiment_line": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_sentiment_json": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_sentiment_free": (None, [_handle]),
    "qaio_model_reply": (
        _status,
        [_handle, c_char_p, c_size_t, _handle, c_char_p, _handle, qaio_callback, c_void_p, POINTER(_handle)],
    ),
    "qaio_model_turn": (_status, _turn),
    "qaio_reply_text": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_reply_stop_reason": (_stop_reason, [_handle]),
    "qaio_reply_json": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_reply_free": (None, [_handle]),
    "qaio_session_create": (_status, [_handle, c_char_p, POINTER(_handle)]),
    "qaio_session_send": (_status, _turn),
    "qaio_session_reset": (_status, [_handle]),
    "qaio_session_fork": (_status, [_handle, POINTER(_handle)]),
    "qaio_session_history": (_status, [_handle, POINTER(_text_out), POINTER(c_size_t)]),
    "qaio_session_free": (None, [_handle]),
    "qaio_task_create": (_status, [_handle, c_char_p, _handle, POINTER(_handle)]),
    "qaio_task_definition": (_status, [_handle, POINTER(_text_out), POINTER(c_size_t)]),
    "qaio_task_classify": (_status, [_handle, c_char_p, c_size_t, c_char_p, _handle, POINTER(_handle)]),
    "qaio_task_classify_batch": (
        _status,
        [
            _handle, POINTER(c_char_p), POINTER(c_size_t), c_size_t, c_char_p, _handle, qaio_callback, c_void_p,
            POINTER(_handle),
        ],
    ),
    "qaio_task_free": (None, [_handle]),
    "qaio_classification_index": (c_int32, [_handle]),
    "qaio_classification_label": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_classification_id": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_classification_score": (c_double, [_handle]),
    "qaio_classification_probability": (c_double, [_handle, c_size_t]),
    "qaio_classification_label_mass": (c_double, [_handle]),
    "qaio_classification_unsure": (c_int32, [_handle]),
    "qaio_classification_json": (_text_out, [_handle, POINTER(c_size_t)]),
    "qaio_classification_free": (None, [_handle]),
    "qaio_batch_count": (c_size_t, [_handle]),
    "qaio_batch_indexes": (POINTER(c_int32), [_handle]),
    "qaio_batch_probabilities": (POINTER(c_double), [_handle, POINTER(c_size_t)]),
    "qaio_batch_row": (_status, [_handle, c_size_t, POINTER(_handle)]),
    "qaio_batch_evaluate": (_status, [_handle, POINTER(c_int32), c_size_t, POINTER(_text_out), POINTER(c_size_t)]),
    "qaio_batch_fit": (_status, [_handle, POINTER(c_int32), c_size_t, POINTER(_text_out), POINTER(c_size_t)]),
    "qaio_batch_free": (None, [_handle]),
    "qaio_cancel_create": (_status, [POINTER(_handle)]),
    "qaio_cancel_set": (_status, [_handle]),
    "qaio_cancel_reset": (_status, [_handle]),
    "qaio_cancel_free": (None, [_handle]),
    "qaio_last_error": (c_char_p, []),
    "qaio_status_name": (c_char_p, [c_int32]),
    "qaio_log_set": (_status, [c_int32, qaio_callback, c_void_p]),
    "qaio_abi_version": (c_uint32, []),
    "qaio_version": (c_char_p, []),
}


def _candidates() -> List[str]:
    """Where the library may be, best first. With ``QAIO_LIBRARY`` set it is nowhere else."""
    chosen = os.environ.get("QAIO_LIBRARY")
    if chosen:
        return [chosen]
    name = {"darwin": "libqaio.dylib", "win32": "qaio.dll"}.get(sys.platform, "libqaio.so")
    here = Path(__file__).resolve().parent
    places = [here / name]
    checkout = here.parents[2] if len(here.parents) > 2 else here
    if (checkout / "include" / "qaio.h").exists():
        places.append(checkout / "target" / "release" / name)
    found = [str(place) for place in places if place.exists()]
    return found + [ctypes.util.find_library("qaio") or name]


def _load() -> ctypes.CDLL:
    tried = []
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
        except OSError as error:
            tried.append(f"{candidate}: {error}")
            continue
        _declare(library, candidate)
        return library
    raise ImportError(
        "the qaio library was not found; build it with `cargo build --release`, or set QAIO_LIBRARY to its path "
        "(tried " + "; ".join(tried) + ")"
    )


def _declare(library: ctypes.CDLL, path: str) -> None:
    """Gives each function its types, after making sure that this is the library they are the types of."""
    try:
        library.qaio_abi_version.restype = c_uint32
        abi = library.qaio_abi_version()
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except AttributeError as error:
        raise ImportError(f"{path} is not qaio {QAIO_VERSION}, or an older one ({error}); install a newer one") from None
    if abi != QAIO_ABI_VERSION:
        raise ImportError(
            f"{path} is qaio {library.qaio_version().decode()} with ABI {abi}, but this package (qaio {QAIO_VERSION}) "
            f"needs ABI {QAIO_ABI_VERSION}; install the two of the same version"
        )


library = _load()
