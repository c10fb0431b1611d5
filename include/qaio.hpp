/**
 * qaio for C++17: the handles of qaio.h as movable objects, its failures as exceptions. Header only; link with -lqaio.
 *
 *     qaio::Model model = qaio::Model::load();
 *     qaio::Sentiment sentiment = model.sentiment("I finally fixed the bug and I feel so relieved!");
 *     std::cout << sentiment.line() << '\n';
 *     qaio::Reply reply = model.reply("I finally fixed the bug!", "{}", nullptr, [](std::string_view piece) {
 *         std::cout << piece << std::flush;
 *     });
 *
 * Functions, options, statuses and rules on threads are those of qaio.h, under the same names. What is different:
 *
 * - A status other than OK becomes a qaio::Error with the library's message.
 * - Objects are moved, not copied, and may be destroyed in any order. One that was moved from behaves like NULL.
 * - An exception that leaves a callback stops the call and comes out of it again, after the library has returned.
 */

#ifndef QAIO_HPP
#define QAIO_HPP

#include "qaio.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace qaio {

/** A call that did not come to QAIO_STATUS_OK; what() is the message of qaio_last_error. */
class Error : public std::runtime_error {
public:
    Error(qaio_status status, const std::string &message)
        : std::runtime_error(message.empty() ? qaio_status_name(status) : message), status_(status)
    {
    }

    /** Which failure it was. */
    qaio_status status() const noexcept { return status_; }

    /** Its name, such as "QAIO_STATUS_BUSY". */
    const char *status_name() const noexcept { return qaio_status_name(status_); }

private:
    qaio_status status_;
};

/** The two ends of sentiment. */
enum class Polarity : std::int32_t {
    negative = QAIO_POLARITY_NEGATIVE,
    positive = QAIO_POLARITY_POSITIVE,
};

/** Why a reply ended. */
enum class StopReason : std::int32_t {
    end = QAIO_STOP_REASON_END,
    length = QAIO_STOP_REASON_LENGTH,
    stop_string = QAIO_STOP_REASON_STOP_STRING,
    callback = QAIO_STOP_REASON_CALLBACK,
    cancelled = QAIO_STOP_REASON_CANCELLED,
    deadline = QAIO_STOP_REASON_DEADLINE,
};

/**
 * Gets a piece of text, which is valid during the call only. Made of any function of a std::string_view; one that
 * returns something other than 0 or false stops the call, one that returns nothing never does.
 */
class Callback {
public:
    /** None: the call goes on. */
    Callback(std::nullptr_t = nullptr) noexcept {}

    /** Calls `function`, a copy of which is kept. */
    template <typename Function, typename = std::enable_if_t<std::is_invocable_v<Function &, std::string_view>>>
    Callback(Function function)
    {
        if constexpr (std::is_void_v<std::invoke_result_t<Function &, std::string_view>>)
            stops_ = [function = std::move(function)](std::string_view piece) mutable { return function(piece), false; };
        else
            stops_ = [function = std::move(function)](std::string_view piece) mutable { return function(piece) != 0; };
    }

    /** Whether there is one. */
    explicit operator bool() const noexcept { return static_cast<bool>(stops_); }

    /** Whether to stop. */
    bool operator()(std::string_view piece) const { return stops_(piece); }

private:
    std::function<bool(std::string_view)> stops_;
};

namespace detail {

template <auto free>
struct Free {
    template <typename Handle>
    void operator()(Handle *handle) const noexcept
    {
        free(handle);
    }
};

template <typename Handle, auto free>
using Owned = std::unique_ptr<Handle, Free<free>>;

inline void check(qaio_status status)
{
    if (status != QAIO_STATUS_OK)
        throw Error(status, qaio_last_error());
}

/** The library that was found at run time must be one that this header was written for. */
inline void check_abi()
{
    if (qaio_abi_version() != QAIO_ABI_VERSION)
        throw Error(QAIO_STATUS_INTERNAL, std::string("this program was compiled for version " QAIO_VERSION " of qaio, but "
                                                      "an incompatible one was loaded, ") +
                                              qaio_version() + "; compile it again, or give it the right library");
}

/** Text for C, where NUL ends it. */
inline std::string terminated(std::string_view text, const char *name)
{
    if (text.find('\0') != std::string_view::npos)
        throw Error(QAIO_STATUS_INVALID_ARGUMENT, std::string(name) + " has a NUL inside");
    return std::string(text);
}

/** Options for C: "" means the defaults. */
inline std::string options(std::string_view json) { return terminated(json, "options"); }

/** Text from C. */
inline std::string text(const char *bytes, std::size_t len) { return bytes ? std::string(bytes, len) : std::string(); }

/** The callbacks of one call, and what was thrown by them. */
class Calls {
public:
    Calls(const Callback &on_sentiment, const Callback &on_piece) : on_sentiment_(on_sentiment), on_piece_(on_piece) {}

    qaio_callback on_sentiment() const noexcept { return on_sentiment_ ? call_on_sentiment : nullptr; }
    qaio_callback on_piece() const noexcept { return on_piece_ ? call_on_piece : nullptr; }

    /** After the call: throws what a callback threw, else what the call came to. */
    void finish(qaio_status status) const
    {
        if (thrown_)
            std::rethrow_exception(thrown_);
        check(status);
    }

private:
    static std::int32_t call_on_sentiment(void *calls, const char *json, std::size_t len) noexcept
    {
        return static_cast<Calls *>(calls)->call(static_cast<Calls *>(calls)->on_sentiment_, {json, len});
    }

    static std::int32_t call_on_piece(void *calls, const char *piece, std::size_t len) noexcept
    {
        return static_cast<Calls *>(calls)->call(static_cast<Calls *>(calls)->on_piece_, {piece, len});
    }

    std::int32_t call(const Callback &callback, std::string_view piece) noexcept
    {
        try {
            return callback(piece);
        } catch (...) {
            thrown_ = std::current_exception();
            return 1;
        }
    }

    const Callback &on_sentiment_;
    const Callback &on_piece_;
    std::exception_ptr thrown_;
};

} // namespace detail

/** A switch that ends the calls it was given to; may be set by any thread. */
class CancelToken {
public:
    /** A token that is not set. */
    CancelToken()
    {
        qaio_cancel *handle = nullptr;
        detail::check(qaio_cancel_create(&handle));
        handle_.reset(handle);
    }

    /** Ends the calls that have this token, now and later, until it is reset. */
    void set() const { detail::check(qaio_cancel_set(handle_.get())); }

    /** Makes a token that was set usable for new calls. */
    void reset() const { detail::check(qaio_cancel_reset(handle_.get())); }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_cancel *handle() const noexcept { return handle_.get(); }

    static const qaio_cancel *handle_of(const CancelToken *token) noexcept { return token ? token->handle() : nullptr; }

private:
    detail::Owned<qaio_cancel, qaio_cancel_free> handle_;
};

/** What a text's sentiment is and how sure that is. */
class Sentiment {
public:
    /** Takes ownership. */
    explicit Sentiment(qaio_sentiment *handle) noexcept : handle_(handle) {}

    /** The likelier of the two. */
    Polarity polarity() const noexcept { return static_cast<Polarity>(qaio_sentiment_polarity(handle())); }

    /** The probability of that answer among the two, 0.5 to 1. */
    double score() const noexcept { return qaio_sentiment_score(handle()); }

    /** The probability of both answers together, 0 to 1; none if it was not measured. */
    std::optional<double> label_mass() const noexcept
    {
        double mass = qaio_sentiment_label_mass(handle());
        return mass < 0 ? std::nullopt : std::optional<double>(mass);
    }

    /** Whether score or label mass is too low to rely on. */
    bool unsure() const noexcept { return qaio_sentiment_unsure(handle()) != 0; }

    /** 正面 or 负面. */
    std::string label() const { return text(qaio_sentiment_label); }

    /** The line that announces the label. */
    std::string line() const { return text(qaio_sentiment_line); }

    /** All of it as a JSON object. */
    std::string json() const { return text(qaio_sentiment_json); }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_sentiment *handle() const noexcept { return handle_.get(); }

private:
    std::string text(const char *(*get)(const qaio_sentiment *, std::size_t *)) const
    {
        std::size_t len = 0;
        const char *bytes = get(handle(), &len);
        return detail::text(bytes, len);
    }

    detail::Owned<qaio_sentiment, qaio_sentiment_free> handle_;
};

/** A reply of the assistant. */
class Reply {
public:
    /** Takes ownership. */
    explicit Reply(qaio_reply *handle) noexcept : handle_(handle) {}

    /** What the assistant said. */
    std::string text() const { return text(qaio_reply_text); }

    /** Why it ended. */
    StopReason stop_reason() const noexcept { return static_cast<StopReason>(qaio_reply_stop_reason(handle())); }

    /** All of it as a JSON object. */
    std::string json() const { return text(qaio_reply_json); }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_reply *handle() const noexcept { return handle_.get(); }

private:
    std::string text(const char *(*get)(const qaio_reply *, std::size_t *)) const
    {
        std::size_t len = 0;
        const char *bytes = get(handle(), &len);
        return detail::text(bytes, len);
    }

    detail::Owned<qaio_reply, qaio_reply_free> handle_;
};

/** Sentiment and reply of one message. */
struct Turn {
    Sentiment sentiment;
    Reply reply;
};

/** What Model::classify_sentiment finds. */
struct Classified {
    Polarity polarity;
    /** The probability of that answer among the two, 0.5 to 1. */
    double score;
};

/** A loaded model. One object may be used by any number of threads at once. */
class Model {
public:
    /** Takes ownership. */
    explicit Model(qaio_model *handle) noexcept : handle_(handle) {}

    /** Loads the model at `path` (none: the built-in one), or gives another handle to it if it is loaded already. */
    static Model load(std::optional<std::string_view> path = std::nullopt, std::string_view options = {},
                      const CancelToken *cancel = nullptr)
    {
        detail::check_abi();
        std::string path_text = detail::terminated(path.value_or(""), "path");
        qaio_model *handle = nullptr;
        detail::check(qaio_model_load(path ? path_text.c_str() : nullptr, detail::options(options).c_str(),
                                      CancelToken::handle_of(cancel), &handle));
        return Model(handle);
    }

    /** Loads a GGUF file whose bytes are `data`; they are copied. */
    static Model load_memory(std::string_view data, std::string_view options = {}, const CancelToken *cancel = nullptr)
    {
        detail::check_abi();
        qaio_model *handle = nullptr;
        detail::check(qaio_model_load_memory(reinterpret_cast<const std::uint8_t *>(data.data()), data.size(),
                                             detail::options(options).c_str(), CancelToken::handle_of(cancel),
                                             &handle));
        return Model(handle);
    }

    /** Facts about the model as a JSON object. */
    std::string info() const
    {
        const char *json = nullptr;
        std::size_t len = 0;
        detail::check(qaio_model_info(handle(), &json, &len));
        return detail::text(json, len);
    }

    /** Is this text happy? */
    Classified classify_sentiment(std::string_view text) const
    {
        qaio_polarity polarity{};
        double score = 0;
        detail::check(qaio_model_classify_sentiment(handle(), text.data(), text.size(), &polarity, &score));
        return {static_cast<Polarity>(polarity), score};
    }

    /** Finds the sentiment of a text, with everything that is known about it. */
    Sentiment sentiment(std::string_view text, std::string_view options = {}, const CancelToken *cancel = nullptr) const
    {
        qaio_sentiment *handle = nullptr;
        detail::check(qaio_model_sentiment(this->handle(), text.data(), text.size(), detail::options(options).c_str(),
                                           CancelToken::handle_of(cancel), &handle));
        return Sentiment(handle);
    }

    /** Replies to a text; its sentiment is found first. */
    Reply reply(std::string_view text, std::string_view options = {}, const CancelToken *cancel = nullptr,
                const Callback &on_piece = {}) const
    {
        return reply_to(text, nullptr, options, cancel, on_piece);
    }

    /** Replies to a text whose sentiment is known. */
    Reply reply(std::string_view text, const Sentiment &sentiment, std::string_view options = {},
                const CancelToken *cancel = nullptr, const Callback &on_piece = {}) const
    {
        return reply_to(text, sentiment.handle(), options, cancel, on_piece);
    }

    /** Sentiment and reply in one call. `on_sentiment` gets the sentiment as JSON before the first piece of the reply. */
    Turn turn(std::string_view text, std::string_view options = {}, const CancelToken *cancel = nullptr,
              const Callback &on_sentiment = {}, const Callback &on_piece = {}) const
    {
        detail::Calls calls(on_sentiment, on_piece);
        qaio_sentiment *sentiment = nullptr;
        qaio_reply *reply = nullptr;
        qaio_status status = qaio_model_turn(handle(), text.data(), text.size(), detail::options(options).c_str(),
                                             CancelToken::handle_of(cancel), calls.on_sentiment(), calls.on_piece(),
                                             &calls, &sentiment, &reply);
        Turn turn{Sentiment(sentiment), Reply(reply)};
        calls.finish(status);
        return turn;
    }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_model *handle() const noexcept { return handle_.get(); }

private:
    Reply reply_to(std::string_view text, const qaio_sentiment *sentiment, std::string_view options,
                   const CancelToken *cancel, const Callback &on_piece) const
    {
        Callback none;
        detail::Calls calls(none, on_piece);
        qaio_reply *handle = nullptr;
        qaio_status status = qaio_model_reply(this->handle(), text.data(), text.size(), sentiment,
                                              detail::options(options).c_str(), CancelToken::handle_of(cancel),
                                              calls.on_piece(), &calls, &handle);
        Reply reply(handle);
        calls.finish(status);
        return reply;
    }

    detail::Owned<qaio_model, qaio_model_free> handle_;
};

/** A conversation: each message is answered with those before it in mind. One call at a time. */
class Session {
public:
    /** Takes ownership. */
    explicit Session(qaio_session *handle) noexcept : handle_(handle) {}

    /** Begins a conversation; it keeps the model alive. */
    explicit Session(const Model &model, std::string_view options = {})
    {
        qaio_session *handle = nullptr;
        detail::check(qaio_session_create(model.handle(), detail::options(options).c_str(), &handle));
        handle_.reset(handle);
    }

    /**
     * Says something and gets sentiment and reply, as Model::turn, with the conversation so far in mind. A reply that a
     * callback ended, also by an exception, stays in the history as far as it came.
     */
    Turn send(std::string_view text, std::string_view options = {}, const CancelToken *cancel = nullptr,
              const Callback &on_sentiment = {}, const Callback &on_piece = {})
    {
        detail::Calls calls(on_sentiment, on_piece);
        qaio_sentiment *sentiment = nullptr;
        qaio_reply *reply = nullptr;
        qaio_status status = qaio_session_send(handle(), text.data(), text.size(), detail::options(options).c_str(),
                                               CancelToken::handle_of(cancel), calls.on_sentiment(), calls.on_piece(),
                                               &calls, &sentiment, &reply);
        Turn turn{Sentiment(sentiment), Reply(reply)};
        calls.finish(status);
        return turn;
    }

    /** Forgets the conversation; the instructions stay. */
    void reset() { detail::check(qaio_session_reset(handle())); }

    /** A second session that goes on from here. */
    Session fork()
    {
        qaio_session *handle = nullptr;
        detail::check(qaio_session_fork(this->handle(), &handle));
        return Session(handle);
    }

    /** The conversation so far as a JSON array. */
    std::string history()
    {
        const char *json = nullptr;
        std::size_t len = 0;
        detail::check(qaio_session_history(handle(), &json, &len));
        return detail::text(json, len);
    }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_session *handle() const noexcept { return handle_.get(); }

private:
    detail::Owned<qaio_session, qaio_session_free> handle_;
};

/** Which of a task's labels a text has, and how sure that is. */
class Classification {
public:
    /** Takes ownership. */
    explicit Classification(qaio_classification *handle) noexcept : handle_(handle) {}

    /** The number of the likeliest label, in the order of the task's definition. */
    std::int32_t index() const noexcept { return qaio_classification_index(handle()); }

    /** Its text. */
    std::string label() const { return text(qaio_classification_label); }

    /** Its id: the text, unless the definition has another. */
    std::string id() const { return text(qaio_classification_id); }

    /** Its probability among the labels. */
    double score() const noexcept { return qaio_classification_score(handle()); }

    /** The probability of the label with this number. */
    double probability(std::size_t index) const noexcept { return qaio_classification_probability(handle(), index); }

    /** The probability that the model's answer begins as one of the labels; none if it was not measured. */
    std::optional<double> label_mass() const noexcept
    {
        double mass = qaio_classification_label_mass(handle());
        return mass < 0 ? std::nullopt : std::optional<double>(mass);
    }

    /** Whether score or label mass is too low to rely on. */
    bool unsure() const noexcept { return qaio_classification_unsure(handle()) != 0; }

    /** All of it as a JSON object. */
    std::string json() const { return text(qaio_classification_json); }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_classification *handle() const noexcept { return handle_.get(); }

private:
    std::string text(const char *(*get)(const qaio_classification *, std::size_t *)) const
    {
        std::size_t len = 0;
        const char *bytes = get(handle(), &len);
        return detail::text(bytes, len);
    }

    detail::Owned<qaio_classification, qaio_classification_free> handle_;
};

/** The results of Task::classify_batch, one row for each text. */
class Batch {
public:
    /** Takes ownership. */
    explicit Batch(qaio_batch *handle) noexcept : handle_(handle) {}

    /** The number of rows. */
    std::size_t size() const noexcept { return qaio_batch_count(handle()); }

    /** The number of a row's likeliest label; -1 if the row has an error. `row` must be below size(). */
    std::int32_t index(std::size_t row) const noexcept { return qaio_batch_indexes(handle())[row]; }

    /** One row with everything that is known about it; throws the row's error if it has one. */
    Classification row(std::size_t row) const
    {
        qaio_classification *handle = nullptr;
        detail::check(qaio_batch_row(this->handle(), row, &handle));
        return Classification(handle);
    }

    /** Compares the rows with their true labels (below 0 where unknown): figures as a JSON object. */
    std::string evaluate(const std::vector<std::int32_t> &truth) { return compared(qaio_batch_evaluate, truth); }

    /** The task's definition with a calibration that fits the true labels. */
    std::string fit(const std::vector<std::int32_t> &truth) { return compared(qaio_batch_fit, truth); }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_batch *handle() const noexcept { return handle_.get(); }

private:
    template <typename Compare>
    std::string compared(Compare compare, const std::vector<std::int32_t> &truth)
    {
        const char *json = nullptr;
        std::size_t len = 0;
        detail::check(compare(handle(), truth.data(), truth.size(), &json, &len));
        return detail::text(json, len);
    }

    detail::Owned<qaio_batch, qaio_batch_free> handle_;
};

/** A role with a closed set of answers. One object may be used by any number of threads at once. */
class Task {
public:
    /** Takes ownership. */
    explicit Task(qaio_task *handle) noexcept : handle_(handle) {}

    /** Makes a task of a shipped one's name or the text of a task file; it keeps the model alive. */
    Task(const Model &model, std::string_view definition, const CancelToken *cancel = nullptr)
    {
        qaio_task *handle = nullptr;
        detail::check(qaio_task_create(model.handle(), detail::terminated(definition, "definition").c_str(),
                                       CancelToken::handle_of(cancel), &handle));
        handle_.reset(handle);
    }

    /** The definition as JSON; labels are numbered in its order. */
    std::string definition() const
    {
        const char *json = nullptr;
        std::size_t len = 0;
        detail::check(qaio_task_definition(handle(), &json, &len));
        return detail::text(json, len);
    }

    /** Finds the label of a text. */
    Classification classify(std::string_view text, std::string_view options = {},
                            const CancelToken *cancel = nullptr) const
    {
        qaio_classification *handle = nullptr;
        detail::check(qaio_task_classify(this->handle(), text.data(), text.size(), detail::options(options).c_str(),
                                         CancelToken::handle_of(cancel), &handle));
        return Classification(handle);
    }

    /**
     * Finds the labels of many texts, anything that std::string_view is made of. `on_progress` gets {"done", "total"} as
     * JSON; a batch that it ends keeps the rows that are done.
     */
    template <typename Texts>
    Batch classify_batch(const Texts &texts, std::string_view options = {}, const CancelToken *cancel = nullptr,
                         const Callback &on_progress = {}) const
    {
        std::vector<const char *> starts;
        std::vector<std::size_t> lens;
        for (const auto &text : texts) {
            std::string_view view(text);
            starts.push_back(view.data());
            lens.push_back(view.size());
        }
        Callback none;
        detail::Calls calls(none, on_progress);
        qaio_batch *handle = nullptr;
        qaio_status status = qaio_task_classify_batch(this->handle(), starts.data(), lens.data(), starts.size(),
                                                      detail::options(options).c_str(), CancelToken::handle_of(cancel),
                                                      calls.on_piece(), &calls, &handle);
        Batch batch(handle);
        calls.finish(status);
        return batch;
    }

    /** For the functions of qaio.h; still owned by this object. */
    qaio_task *handle() const noexcept { return handle_.get(); }

private:
    detail::Owned<qaio_task, qaio_task_free> handle_;
};

} // namespace qaio

#endif // QAIO_HPP
