"""qaio (Qwen All-in-One): one small Qwen chat model as sentiment analyst and empathetic assistant.

>>> import qaio
>>> model = qaio.load()
>>> print(model.sentiment("终于把bug修完了，感觉整个人都轻松了！").line)
😄 LLM 情感判断: 正面
>>> for piece in model.stream("I finally fixed the bug!", max_tokens=50):
...     print(piece, end="", flush=True)

Names, options and rules are those of ``include/qaio.h``. Options are keyword arguments; one that the library does not
know is an error that names the nearest one. Text is ``str``, or ``bytes`` of UTF-8. Every failure of the library is a
:class:`QaioError`. A model may be used by many threads at once (the GIL is released meanwhile), a session by one call at
a time. A child made by ``os.fork`` cannot use the library: start ``multiprocessing`` with "spawn".
"""

import ctypes
import json as _json
import os
import queue
import sys
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Callable, Dict, Generator, Iterable, List, NamedTuple, Optional, Tuple, Type, TypeVar, Union

from . import _native
from ._native import LogLevel, Polarity, Status, StopReason
from ._native import library as _library

__all__ = [
    "Batch",
    "CancelToken",
    "Classification",
    "Classified",
    "LogLevel",
    "Model",
    "Polarity",
    "QaioError",
    "Reply",
    "Sentiment",
    "Session",
    "Status",
    "StopReason",
    "Task",
    "Turn",
    "Usage",
    "__version__",
    "library_version",
    "load",
    "load_memory",
    "log_set",
]

__version__ = _native.QAIO_VERSION

Text = Union[str, bytes, bytearray]
#: Gets the sentiment before the reply; a result that is true ends the turn without one.
OnSentiment = Callable[["Sentiment"], Any]
#: Gets a piece of the reply; a result that is true ends the reply.
OnPiece = Callable[[str], Any]
#: Gets the number of texts that are done and of all; a result that is true ends the batch.
OnProgress = Callable[[int, int], Any]
_Self = TypeVar("_Self", bound="_Closing")


class QaioError(Exception):
    """A call that did not come to ``QAIO_STATUS_OK``. Its text says what failed and what to do.

    >>> try:
    ...     model.sentiment("")
    ... except qaio.QaioError as error:
    ...     print(error.status_name)
    QAIO_STATUS_EMPTY_TEXT
    """

    #: Which failure it was.
    status: Status

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        try:
            self.status = Status(status)
        except ValueError:  # of a newer library
            self.status = Status.INTERNAL

    @property
    def status_name(self) -> str:
        """The status as the header spells it, such as ``"QAIO_STATUS_BUSY"``."""
        return _library.qaio_status_name(self.args[0]).decode()

    def __str__(self) -> str:
        return self.args[1] or self.status_name


class Usage(NamedTuple):
    """What a call cost."""

    prompt_tokens: int
    #: Of these, not computed again because a shared prefix or the session holds them.
    cached_tokens: int
    reply_tokens: int
    elapsed_ms: float


class Classified(NamedTuple):
    """What :meth:`Model.classify_sentiment` finds."""

    polarity: Polarity
    #: The probability of that answer among the two, 0.5 to 1.
    score: float


@dataclass(frozen=True)
class Sentiment:
    """What a text's sentiment is and how sure that is."""

    polarity: Polarity
    #: The probability of that answer among the two, 0.5 to 1.
    score: float
    #: The probability of both answers together among all that the model could say; None if it was not measured.
    label_mass: Optional[float]
    #: Whether score or label mass is too low to rely on.
    unsure: bool
    #: 正面 or 负面.
    label: str
    #: The line that announces the label.
    line: str
    usage: Usage
    #: All of it as the library's JSON.
    json: str = field(repr=False, compare=False)
    _handle: Optional["_Handle"] = field(repr=False, compare=False, default=None)

    @classmethod
    def _of(cls, json: str, handle: Optional["_Handle"] = None) -> "Sentiment":
        facts = _json.loads(json)
        return cls(
            polarity=Polarity.POSITIVE if facts["label"] == "正面" else Polarity.NEGATIVE,
            score=facts["score"],
            label_mass=facts["label_mass"],
            unsure=facts["unsure"],
            label=facts["label"],
            line=facts["line"],
            usage=_usage(facts),
            json=json,
            _handle=handle,
        )


@dataclass(frozen=True)
class Reply:
    """A reply of the assistant."""

    text: str
    stop_reason: StopReason
    usage: Usage
    #: All of it as the library's JSON.
    json: str = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Turn:
    """Sentiment and reply of one message."""

    sentiment: Sentiment
    reply: Reply


class _Handle:
    """Owns a handle of the library: frees it once, when it is closed and no call uses it any more."""

    def __init__(self, address: Optional[int], free: Callable[[Optional[int]], None], name: str) -> None:
        self._address = address
        self._free = free
        self._name = name
        self._lock = threading.RLock()  # a finalizer may run in the middle of anything
        self._users = 0
        self._closed = False

    def __enter__(self) -> Optional[int]:
        with self._lock:
            if self._closed:
                raise ValueError(f"this {self._name} was closed")
            self._users += 1
            return self._address

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            self._free_if_unused()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._free_if_unused()

    def _free_if_unused(self) -> None:
        if self._closed and self._users == 0 and self._address is not None:
            address, self._address = self._address, None
            self._free(address)

    def __del__(self) -> None:
        self.close()


class _Closing:
    """What :class:`Model`, :class:`Session` and :class:`CancelToken` have in common: they own a handle."""

    _handle: _Handle

    def close(self) -> None:
        """Frees the handle now, instead of with the object; a call that is running ends first. May be repeated."""
        self._handle.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class CancelToken(_Closing):
    """A switch that ends the calls it was given to. Any thread may set it, also a callback.

    >>> token = qaio.CancelToken()
    >>> threading.Timer(1.0, token.set).start()
    >>> model.reply("Tell me a long story.", cancel=token).stop_reason
    <StopReason.CANCELLED: 4>
    """

    def __init__(self) -> None:
        out = ctypes.c_void_p()
        _check(_library.qaio_cancel_create(ctypes.byref(out)))
        self._handle = _Handle(out.value, _library.qaio_cancel_free, "token")

    def set(self) -> None:
        """Ends the calls that have this token, now and later, until it is reset."""
        with self._handle as token:
            _check(_library.qaio_cancel_set(token))

    def reset(self) -> None:
        """Makes a token that was set usable for new calls."""
        with self._handle as token:
            _check(_library.qaio_cancel_reset(token))


class Model(_Closing):
    """A loaded model, made by :func:`load`. Many threads may use one at once.

    >>> with qaio.load() as model:
    ...     print(model.info()["name"])
    qaio-mini
    """

    def __init__(
        self,
        path: Union[str, "os.PathLike[str]", None] = None,
        *,
        cancel: Optional[CancelToken] = None,
        **options: object,
    ) -> None:
        out = ctypes.c_void_p()
        place = None if path is None else _terminated(os.fspath(path), "path")
        with _optional(cancel) as token:
            _check(_library.qaio_model_load(place, _options(options), token, ctypes.byref(out)))
        self._handle = _Handle(out.value, _library.qaio_model_free, "model")

    @classmethod
    def load_memory(
        cls, data: Union[bytes, bytearray, memoryview], *, cancel: Optional[CancelToken] = None, **options: object
    ) -> "Model":
        """As :func:`qaio.load_memory`."""
        out = ctypes.c_void_p()
        data = bytes(data)
        with _optional(cancel) as token:
            status = _library.qaio_model_load_memory(data, len(data), _options(options), token, ctypes.byref(out))
            _check(status)
        model = cls.__new__(cls)
        model._handle = _Handle(out.value, _library.qaio_model_free, "model")
        return model

    def info(self) -> Dict[str, Any]:
        """Facts about the model: name, architecture, parameters, format, context, threads and more."""
        json, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._handle as model:
            _check(_library.qaio_model_info(model, ctypes.byref(json), ctypes.byref(length)))
            return _json.loads(_string(json.value, length.value))

    def classify_sentiment(self, text: Text) -> Classified:
        """Is this text happy?

        >>> polarity, score = model.classify_sentiment("What a day!")
        """
        data = _utf8(text)
        polarity, score = ctypes.c_int32(), ctypes.c_double()
        with self._handle as model:
            _check(
                _library.qaio_model_classify_sentiment(
                    model, data, len(data), ctypes.byref(polarity), ctypes.byref(score)
                )
            )
        return Classified(Polarity(polarity.value), score.value)

    def sentiment(self, text: Text, *, cancel: Optional[CancelToken] = None, **options: object) -> Sentiment:
        """Finds the sentiment of a text, with everything that is known about it.

        Options: ``threshold``, ``label_mass``, ``truncate``, ``deadline_ms``.

        >>> model.sentiment("项目延期了，客户又要投诉，压力好大。", label_mass=False).label
        '负面'
        """
        data = _utf8(text)
        out = ctypes.c_void_p()
        with self._handle as model, _optional(cancel) as token:
            _check(
                _library.qaio_model_sentiment(model, data, len(data), _options(options), token, ctypes.byref(out))
            )
        return _sentiment(out)

    def reply(
        self,
        text: Text,
        *,
        sentiment: Optional[Sentiment] = None,
        on_piece: Optional[OnPiece] = None,
        cancel: Optional[CancelToken] = None,
        **options: object,
    ) -> Reply:
        """Replies to a text with its sentiment in mind; without ``sentiment`` it is found first.

        Options: ``max_tokens``, ``temperature``, ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``seed``,
        ``stop``, ``truncate``, ``context`` (passages that the reply may draw on), ``context_tokens``, ``deadline_ms``.

        An exception in ``on_piece`` ends the reply and is raised here.

        >>> model.reply("I finally fixed the bug!", max_tokens=50, stop=["\\n"]).text
        """
        data = _utf8(text)
        if sentiment is not None and sentiment._handle is None:
            raise ValueError("a sentiment that was given to on_sentiment cannot be passed on; take that of the turn")
        calls = _Calls(None, on_piece)
        out = ctypes.c_void_p()
        with self._handle as model, _optional(cancel) as token, _optional(sentiment) as known:
            status = _library.qaio_model_reply(
                model, data, len(data), known, _options(options), token, calls.on_piece, None, ctypes.byref(out)
            )
            message = _library.qaio_last_error()
        reply = _reply(out) if out else None
        calls.finish(status, message)
        assert reply is not None
        return reply

    def turn(
        self,
        text: Text,
        *,
        on_sentiment: Optional[OnSentiment] = None,
        on_piece: Optional[OnPiece] = None,
        cancel: Optional[CancelToken] = None,
        **options: object,
    ) -> Turn:
        """Sentiment and reply in one call: the label is known before the first word. Options as for :meth:`reply`.

        An exception in a callback ends the turn and is raised here.

        >>> model.turn("What a day!", on_sentiment=lambda sentiment: print(sentiment.line), on_piece=print)
        """
        return _turn(_library.qaio_model_turn, self._handle, text, on_sentiment, on_piece, cancel, options)

    def stream(
        self, text: Text, *, sentiment: Optional[Sentiment] = None, **options: object
    ) -> Generator[str, None, Reply]:
        """The reply as a generator of its pieces. Closing it (or leaving it to the garbage collector) ends the reply.

        The call runs in a thread of its own from the first piece on. Options as for :meth:`reply`.

        >>> for piece in model.stream("What a day!", max_tokens=50):
        ...     print(piece, end="", flush=True)
        """
        data = _utf8(text)

        def call(on_piece: OnPiece, cancel: CancelToken) -> Reply:
            return self.reply(data, sentiment=sentiment, on_piece=on_piece, cancel=cancel, **options)

        return _stream(call)

    def task(self, definition: "Definition", *, cancel: Optional[CancelToken] = None) -> "Task":
        """Makes a task: a role with a closed set of answers. See :class:`Task`."""
        return Task(self, definition, cancel=cancel)

    def session(self, **options: object) -> "Session":
        """Begins a conversation. Option: ``system``, instructions in place of the built-in ones."""
        return Session(self, **options)


class Session(_Closing):
    """A conversation: each message is answered with those before it in mind. One call at a time.

    >>> session = model.session(system="You answer like a pirate.")
    >>> session.send("What a day!").reply.text
    >>> session.history()[0]["content"]
    'What a day!'
    """

    def __init__(self, model: Model, **options: object) -> None:
        out = ctypes.c_void_p()
        with model._handle as handle:
            _check(_library.qaio_session_create(handle, _options(options), ctypes.byref(out)))
        self._handle = _Handle(out.value, _library.qaio_session_free, "session")

    def send(
        self,
        text: Text,
        *,
        on_sentiment: Optional[OnSentiment] = None,
        on_piece: Optional[OnPiece] = None,
        cancel: Optional[CancelToken] = None,
        **options: object,
    ) -> Turn:
        """Says something and gets sentiment and reply, as :meth:`Model.turn`, with the conversation so far in mind.

        A reply that ended early, also by an exception in a callback, stays in the history as far as it came.
        """
        return _turn(_library.qaio_session_send, self._handle, text, on_sentiment, on_piece, cancel, options)

    def stream(
        self, text: Text, *, on_sentiment: Optional[OnSentiment] = None, **options: object
    ) -> Generator[str, None, Turn]:
        """As :meth:`send`, as a generator of the reply's pieces; ``on_sentiment`` runs in another thread."""
        data = _utf8(text)

        def call(on_piece: OnPiece, cancel: CancelToken) -> Turn:
            return self.send(data, on_sentiment=on_sentiment, on_piece=on_piece, cancel=cancel, **options)

        return _stream(call)

    def reset(self) -> None:
        """Forgets the conversation; the instructions stay."""
        with self._handle as session:
            _check(_library.qaio_session_reset(session))

    def fork(self) -> "Session":
        """Makes a second session that goes on from here."""
        out = ctypes.c_void_p()
        with self._handle as handle:
            _check(_library.qaio_session_fork(handle, ctypes.byref(out)))
        session = Session.__new__(Session)
        session._handle = _Handle(out.value, _library.qaio_session_free, "session")
        return session

    def history(self) -> List[Dict[str, Any]]:
        """The conversation so far, oldest first: messages with ``role`` and ``content``."""
        json, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._handle as session:
            _check(_library.qaio_session_history(session, ctypes.byref(json), ctypes.byref(length)))
            return _json.loads(_string(json.value, length.value))


#: A shipped task's name, the path of a task file, or what such a file says.
Definition = Union[str, "os.PathLike[str]", Dict[str, Any]]


@dataclass(frozen=True)
class Classification:
    """Which of a task's labels a text has, and how sure that is."""

    #: The text of the likeliest label.
    label: str
    #: Its id: the text, unless the task's definition has another.
    id: str
    #: Its number in the definition.
    index: int
    #: Its probability among the labels.
    score: float
    #: The probability of each label, by its text.
    probabilities: Dict[str, float]
    #: The probability that the model's answer begins as one of the labels; None if it was not measured.
    label_mass: Optional[float]
    #: Whether score or label mass is too low to rely on.
    unsure: bool
    usage: Usage


class Task(_Closing):
    """A role with a closed set of answers: one that comes with the library (``"sentiment"``, ``"intent"``,
    ``"language"``), or your own as a task file or as a dict. Many threads may use one at once.

    >>> intent = model.task("intent")
    >>> intent.classify("快递三天没动静，客服也不回").label
    '投诉'
    >>> urgency = model.task({
    ...     "name": "urgency",
    ...     "system": "你是一个值班员。请判断下面这句话紧不紧急，只回答：紧急或不紧急。",
    ...     "template": "文本：{text}\\n回答：",
    ...     "labels": ["紧急", "不紧急"],
    ... })
    """

    def __init__(self, model: Model, definition: Definition, *, cancel: Optional[CancelToken] = None) -> None:
        out = ctypes.c_void_p()
        data = _terminated(_definition(definition), "definition")
        with model._handle as handle, _optional(cancel) as token:
            _check(_library.qaio_task_create(handle, data, token, ctypes.byref(out)))
        self._handle = _Handle(out.value, _library.qaio_task_free, "task")
        #: What the task was made of, with defaults filled in.
        self.definition: Dict[str, Any] = self._definition()
        #: The texts of the labels, in order.
        self.labels: Tuple[str, ...] = tuple(label["text"] for label in self.definition["labels"])

    def _definition(self) -> Dict[str, Any]:
        json, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._handle as task:
            _check(_library.qaio_task_definition(task, ctypes.byref(json), ctypes.byref(length)))
            return _json.loads(_string(json.value, length.value))

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the definition as a task file."""
        with open(path, "w", encoding="utf-8") as file:
            _json.dump(self.definition, file, ensure_ascii=False, indent=2)
            file.write("\n")

    def classify(self, text: Text, *, cancel: Optional[CancelToken] = None, **options: object) -> Classification:
        """Finds the label of a text. Options: ``threshold``, ``label_mass``, ``truncate``, ``deadline_ms``."""
        data = _utf8(text)
        out = ctypes.c_void_p()
        with self._handle as task, _optional(cancel) as token:
            _check(_library.qaio_task_classify(task, data, len(data), _options(options), token, ctypes.byref(out)))
        return _classification(out)

    def classify_batch(
        self,
        texts: Iterable[Text],
        *,
        progress: Union[bool, OnProgress] = False,
        cancel: Optional[CancelToken] = None,
        **options: object,
    ) -> "Batch":
        """Finds the labels of many texts in one call; faster than one by one, with the same results.

        ``progress=True`` draws a bar on stderr; a function gets the numbers of texts done and of all. A text that cannot
        be classified fails alone. A batch that is ended early (by ``cancel``, ``deadline_ms``, or a result of ``progress``
        that is true) keeps the rows that are done. Options as for :meth:`classify`.

        >>> batch = model.task("language").classify_batch(["你好", "Good morning", "Guten Morgen"], progress=True)
        >>> batch.labels
        ['中文', 'English', '其他']
        """
        data = [_utf8(text) for text in texts]
        starts = (ctypes.c_char_p * len(data))(*data)
        lens = (ctypes.c_size_t * len(data))(*map(len, data))
        on_progress = _draw_progress if progress is True else progress or None
        calls = _Calls(None, None, on_progress)
        out = ctypes.c_void_p()
        with self._handle as task, _optional(cancel) as token:
            status = _library.qaio_task_classify_batch(
                task, starts, lens, len(data), _options(options), token, calls.on_progress, None, ctypes.byref(out)
            )
            message = _library.qaio_last_error()
        batch = Batch(out, self.labels) if out else None
        calls.finish(status, message)
        assert batch is not None
        return batch


class Batch(_Closing):
    """The results of :meth:`Task.classify_batch`, one row for each text: a sequence of :class:`Classification`, or of the
    :class:`QaioError` of a text that could not be classified.

    >>> batch = model.task("sentiment").classify_batch(["太棒了", "糟透了"])
    >>> [row.label for row in batch]
    ['正面', '负面']
    """

    def __init__(self, out: ctypes.c_void_p, labels: Tuple[str, ...]) -> None:
        self._handle = _Handle(out.value, _library.qaio_batch_free, "batch")
        self._labels = labels
        with self._handle as batch:
            self._count: int = _library.qaio_batch_count(batch)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> Union[Classification, QaioError]:
        number = row + self._count if row < 0 else row
        if not 0 <= number < self._count:
            raise IndexError(f"row {row} of a batch of {self._count}")
        out = ctypes.c_void_p()
        with self._handle as batch:
            status = _library.qaio_batch_row(batch, number, ctypes.byref(out))
            message = _library.qaio_last_error()
        return _classification(out) if status == Status.OK else QaioError(status, message.decode())

    @property
    def labels(self) -> List[Optional[str]]:
        """The text of each row's likeliest label; None where the row has an error."""
        with self._handle as batch:
            indexes = _library.qaio_batch_indexes(batch)[: self._count]
        return [self._labels[index] if index >= 0 else None for index in indexes]

    @property
    def probabilities(self) -> List[List[float]]:
        """The probabilities of all labels, row by row; NaN where the row has an error."""
        width = len(self._labels)
        with self._handle as batch:
            flat = _library.qaio_batch_probabilities(batch, None)[: self._count * width]
        return [flat[start : start + width] for start in range(0, len(flat), width)]

    @property
    def errors(self) -> Dict[int, QaioError]:
        """The rows that have an error."""
        found = ((row, self[row]) for row, label in enumerate(self.labels) if label is None)
        return {row: error for row, error in found if isinstance(error, QaioError)}

    def evaluate(self, truth: Iterable[Optional[str]]) -> Dict[str, Any]:
        """Compares the rows with their true labels (by text; None where unknown): accuracy, macro_f1, calibration_error,
        brier, log_loss, coverage and sure_accuracy at the threshold, confusion, and figures of each label.

        >>> batch.evaluate(["正面", "负面"])["accuracy"]
        1.0
        """
        return self._compared(_library.qaio_batch_evaluate, truth)

    def fit(self, truth: Iterable[Optional[str]]) -> Dict[str, Any]:
        """The task's definition with a calibration (a bias per label, a temperature) that fits the true labels.

        >>> better = model.task(batch.fit(["正面", "负面"]))
        """
        return self._compared(_library.qaio_batch_fit, truth)

    def _compared(self, function: Callable[..., int], truth: Iterable[Optional[str]]) -> Dict[str, Any]:
        numbers = {label: number for number, label in enumerate(self._labels)}
        indexes = []
        for row, label in enumerate(truth):
            if label is not None and label not in numbers:
                raise ValueError(f"the true label of row {row} is {label!r}; there are {', '.join(self._labels)}, and None")
            indexes.append(-1 if label is None else numbers[label])
        json, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._handle as batch:
            array = (ctypes.c_int32 * len(indexes))(*indexes)
            _check(function(batch, array, len(indexes), ctypes.byref(json), ctypes.byref(length)))
            return _json.loads(_string(json.value, length.value))


def load(
    path: Union[str, "os.PathLike[str]", None] = None, *, cancel: Optional[CancelToken] = None, **options: object
) -> Model:
    """Loads the model at ``path``, a directory in Hugging Face's layout or a GGUF file; None is the built-in one.

    There is one model per process: loading it again gives another handle to it. Options: ``precision``, ``threads``,
    ``context``, ``mmap``, ``deadline_ms``.

    >>> model = qaio.load("Qwen1.5-0.5B-Chat", precision="q4", threads=2)
    """
    return Model(path, cancel=cancel, **options)


def load_memory(
    data: Union[bytes, bytearray, memoryview], *, cancel: Optional[CancelToken] = None, **options: object
) -> Model:
    """Loads a GGUF file whose bytes are ``data``; they are copied. Options as for :func:`load`."""
    return Model.load_memory(data, cancel=cancel, **options)


def library_version() -> str:
    """Version and git revision of the library that was loaded, such as ``"0.1.0+1a2b3c4"``."""
    return _library.qaio_version().decode()


def log_set(level: LogLevel, callback: Optional[Callable[[str], Any]] = None) -> None:
    """Sets who gets the library's log messages, in place of the one before. Any thread may call it back.

    >>> qaio.log_set(qaio.LogLevel.INFO, print)
    """

    def call(_: Optional[int], message: int, length: int) -> int:
        try:
            if callback is not None:
                callback(_string(message, length))
        except Exception:  # nobody to raise it to
            pass
        return 0

    function = _native.qaio_callback(call) if callback is not None else _native.qaio_callback()
    _check(_library.qaio_log_set(int(level), function, None))
    # The library may still be calling the one before, so none is ever freed.
    _log_callbacks.append(function)


_log_callbacks: List[Any] = []


class _Calls:
    """The callbacks of one call, and what they raised. Without callbacks, too: Python handles Ctrl-C between pieces."""

    def __init__(
        self,
        on_sentiment: Optional[OnSentiment],
        on_piece: Optional[OnPiece],
        on_progress: Optional[OnProgress] = None,
    ) -> None:
        self._raised: Optional[BaseException] = None
        self.on_sentiment = _native.qaio_callback(
            lambda _, json, length: self._call(on_sentiment, lambda: Sentiment._of(_string(json, length)))
        )
        self.on_piece = _native.qaio_callback(
            lambda _, piece, length: self._call(on_piece, lambda: _string(piece, length))
        )
        self.on_progress = _native.qaio_callback(
            lambda _, json, length: self._call(
                on_progress and (lambda numbers: on_progress(numbers["done"], numbers["total"])),
                lambda: _json.loads(_string(json, length)),
            )
        )

    def _call(self, function: Optional[Callable[[Any], Any]], argument: Callable[[], Any]) -> int:
        try:
            return 1 if function is not None and function(argument()) else 0
        except BaseException as error:
            self._raised = error
            return 1

    def finish(self, status: int, message: bytes) -> None:
        """After the call: raises what a callback raised, else what the call came to."""
        del self.on_sentiment, self.on_piece, self.on_progress  # they refer back to here
        if self._raised is not None:
            try:
                raise self._raised
            finally:
                self._raised = None
        if status != Status.OK:
            raise QaioError(status, message.decode())


def _turn(
    function: Callable[..., int],
    handle: _Handle,
    text: Text,
    on_sentiment: Optional[OnSentiment],
    on_piece: Optional[OnPiece],
    cancel: Optional[CancelToken],
    options: Dict[str, object],
) -> Turn:
    data = _utf8(text)
    calls = _Calls(on_sentiment, on_piece)
    sentiment, reply = ctypes.c_void_p(), ctypes.c_void_p()
    with handle as owner, _optional(cancel) as token:
        status = function(
            owner, data, len(data), _options(options), token, calls.on_sentiment, calls.on_piece, None,
            ctypes.byref(sentiment), ctypes.byref(reply),
        )  # fmt: skip
        message = _library.qaio_last_error()
    turn = Turn(_sentiment(sentiment), _reply(reply)) if sentiment and reply else None
    calls.finish(status, message)
    assert turn is not None
    return turn


_Result = TypeVar("_Result")


def _stream(call: Callable[[OnPiece, CancelToken], _Result]) -> Generator[str, None, _Result]:
    """Runs ``call`` in a thread and yields its pieces; its result is the generator's, its exception is raised."""
    pieces: "queue.SimpleQueue[Optional[str]]" = queue.SimpleQueue()
    outcome: List[Tuple[Optional[_Result], Optional[BaseException]]] = []

    def run() -> None:
        try:
            outcome.append((call(pieces.put, token), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            pieces.put(None)

    with CancelToken() as token:
        thread = threading.Thread(target=run, name="qaio.stream")
        thread.start()
        try:
            while True:
                piece = pieces.get()
                if piece is None:
                    break
                yield piece
        finally:
            if thread.is_alive():
                token.set()
            thread.join()
    result, error = outcome.pop()
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _sentiment(out: ctypes.c_void_p) -> Sentiment:
    handle = _Handle(out.value, _library.qaio_sentiment_free, "sentiment")
    length = ctypes.c_size_t()
    with handle as sentiment:
        address = _library.qaio_sentiment_json(sentiment, ctypes.byref(length))
        return Sentiment._of(_string(address, length.value), handle)


def _reply(out: ctypes.c_void_p) -> Reply:
    handle = _Handle(out.value, _library.qaio_reply_free, "reply")
    length = ctypes.c_size_t()
    with handle as reply:
        address = _library.qaio_reply_json(reply, ctypes.byref(length))
        json = _string(address, length.value)
        stop_reason = StopReason(_library.qaio_reply_stop_reason(reply))
    handle.close()
    facts = _json.loads(json)
    return Reply(text=facts["text"], stop_reason=stop_reason, usage=_usage(facts), json=json)


def _classification(out: ctypes.c_void_p) -> Classification:
    handle = _Handle(out.value, _library.qaio_classification_free, "classification")
    length = ctypes.c_size_t()
    with handle as found:
        address = _library.qaio_classification_json(found, ctypes.byref(length))
        facts = _json.loads(_string(address, length.value))
    handle.close()
    return Classification(**{**facts, "usage": _usage(facts)})


def _definition(definition: Definition) -> str:
    """The text for the library: JSON, or the name of a shipped task."""
    if isinstance(definition, dict):
        return _json.dumps(definition, ensure_ascii=False)
    name = os.fspath(definition)
    is_text = isinstance(definition, str) and name.lstrip().startswith("{")
    is_path = not isinstance(definition, str) or name.endswith(".json")
    if is_path and not is_text:
        with open(name, encoding="utf-8") as file:
            return file.read()
    return name


def _draw_progress(done: int, total: int) -> None:
    width = 40
    bar = "#" * (width * done // max(total, 1))
    print(f"\r[{bar:<{width}}] {done:,} of {total:,}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _usage(facts: Dict[str, Any]) -> Usage:
    return Usage(*(facts["usage"][name] for name in Usage._fields))


class _optional:
    """The handle of an object, or None for None."""

    def __init__(self, owner: Union[CancelToken, Sentiment, None]) -> None:
        self._handle = None if owner is None else owner._handle

    def __enter__(self) -> Optional[int]:
        return None if self._handle is None else self._handle.__enter__()

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.__exit__()


def _check(status: int) -> None:
    if status != Status.OK:
        raise QaioError(status, _library.qaio_last_error().decode())


def _string(address: Optional[int], length: int) -> str:
    return ctypes.string_at(address, length).decode() if address else ""


def _utf8(text: Text, name: str = "text") -> bytes:
    if isinstance(text, str):
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            surrogate = ascii(text[error.start])
            message = f"{name} has {surrogate}, half of a surrogate pair, at index {error.start}; no UTF-8 can express it"
            raise QaioError(Status.INVALID_UTF8, message) from None
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    raise TypeError(f"{name} must be str or bytes, not {type(text).__name__}")


def _terminated(text: Text, name: str) -> bytes:
    """Text for C, where NUL ends it."""
    data = _utf8(text, name)
    if b"\0" in data:
        raise ValueError(f"{name} has a NUL inside")
    return data


def _options(options: Dict[str, object]) -> Optional[bytes]:
    return _json.dumps(options, allow_nan=False).encode() if options else None
