/**
 * qaio (Qwen All-in-One): one small Qwen chat model as sentiment analyst and empathetic assistant.
 *
 * Generated from src/ffi by cbindgen; do not edit.
 *
 *     qaio_model *model;
 *     if (qaio_model_load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK) {
 *         fprintf(stderr, "%s\n", qaio_last_error());
 *         return 1;
 *     }
 *     qaio_polarity polarity;
 *     double score;
 *     const char *text = "I finally fixed the bug and I feel so relieved!";
 *     if (qaio_model_classify_sentiment(model, text, strlen(text), &polarity, &score) == QAIO_STATUS_OK)
 *         printf("%s %.2f\n", polarity == QAIO_POLARITY_POSITIVE ? "positive" : "negative", score);
 *     qaio_model_free(model);
 *
 * Rules that hold for every function:
 *
 * - Each call that can fail returns a qaio_status. Outputs are written only when it is QAIO_STATUS_OK. qaio_last_error()
 *   has a sentence about the failure: which value or file, and what to do.
 * - Text goes in as pointer and length (any UTF-8, also with NUL inside). Text comes out as UTF-8 with a NUL after it, owned
 *   by a handle. Paths and options are NUL-terminated UTF-8.
 * - Options are a JSON object as text; NULL means the defaults. An unknown key is an error that names the nearest known one.
 * - Each type has its own _free, which takes NULL. Handles may be freed in any order. There is no init and no shutdown.
 * - There is one model per process. Loading it again gives another handle to it, at no cost.
 * - Each function has a line on threads. A const handle may be used by many threads at once. No function may be called
 *   with a handle that another thread is freeing.
 * - The library does not print, exit, abort, install signal handlers, change the environment or use the network. After
 *   fork() the child gets QAIO_STATUS_FORKED (and frees nothing) until it calls exec.
 * - The same text gives the same label, score and greedy reply, whatever else is going on.
 */


#ifndef QAIO_H
#define QAIO_H

#include <stddef.h>
#include <stdint.h>

/** Semantic version of this header. */
#define QAIO_VERSION "0.1.0"

/**
 * Counts the incompatible changes of this header. Compare with `qaio_abi_version()` to be sure that the library that
 * was loaded is the one that was compiled against.
 */
#define QAIO_ABI_VERSION 1

/**
 * What a call came to. The numbers are permanent.
 *
 * The code is for programs; for people, `qaio_last_error()` has a sentence that names the value or file and the remedy.
 */
enum qaio_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done. Outputs are written in this case only.
   */
  QAIO_STATUS_OK = 0,
  /**
   * An argument that the function cannot accept, such as NULL where a handle is needed, or a freed handle.
   */
  QAIO_STATUS_INVALID_ARGUMENT = 1,
  /**
   * Text or a path is not UTF-8; the message has the byte offset.
   */
  QAIO_STATUS_INVALID_UTF8 = 2,
  /**
   * The text is empty or only white space.
   */
  QAIO_STATUS_EMPTY_TEXT = 3,
  /**
   * The text does not fit into the model's context; the message has the numbers. See the option `truncate`.
   */
  QAIO_STATUS_CONTEXT_OVERFLOW = 4,
  /**
   * The options have an unknown key; the message names the nearest known one.
   */
  QAIO_STATUS_UNKNOWN_OPTION = 5,
  /**
   * An option has the wrong type or is out of range, or the options are not JSON.
   */
  QAIO_STATUS_INVALID_OPTION = 6,
  /**
   * The path does not exist.
   */
  QAIO_STATUS_NOT_FOUND = 7,
  /**
   * The operating system could not read a file.
   */
  QAIO_STATUS_IO = 8,
  /**
   * The model's directory lacks a file that is needed.
   */
  QAIO_STATUS_MODEL_INCOMPLETE = 9,
  /**
   * A model file is truncated or damaged, or two of them do not belong together.
   */
  QAIO_STATUS_MODEL_CORRUPT = 10,
  /**
   * A well-formed model that this library cannot run; the message names its architecture or type.
   */
  QAIO_STATUS_MODEL_UNSUPPORTED = 11,
  /**
   * A weight of the model, or a result computed from it, is NaN or infinite.
   */
  QAIO_STATUS_MODEL_NOT_FINITE = 12,
  /**
   * Another model, or the same one with other options, is loaded; free its handles first.
   */
  QAIO_STATUS_MODEL_CONFLICT = 13,
  /**
   * The call's cancel token was set.
   */
  QAIO_STATUS_CANCELLED = 14,
  /**
   * The call's deadline passed.
   */
  QAIO_STATUS_DEADLINE_EXCEEDED = 15,
  /**
   * The session is in the middle of another call.
   */
  QAIO_STATUS_BUSY = 16,
  /**
   * This process is a fork of one that used the library; call exec, or load after the fork only.
   */
  QAIO_STATUS_FORKED = 17,
  /**
   * Memory ran out.
   */
  QAIO_STATUS_OUT_OF_MEMORY = 18,
  /**
   * A bug in the library; the message has the details.
   */
  QAIO_STATUS_INTERNAL = 19,
  /**
   * A task file is not valid; the message names the field.
   */
  QAIO_STATUS_INVALID_TASK = 20,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum qaio_status qaio_status;
#else
typedef int32_t qaio_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The two ends of sentiment. The numbers are permanent.
 */
enum qaio_polarity
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Unhappy: the label 负面.
   */
  QAIO_POLARITY_NEGATIVE = 0,
  /**
   * Happy: the label 正面.
   */
  QAIO_POLARITY_POSITIVE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum qaio_polarity qaio_polarity;
#else
typedef int32_t qaio_polarity;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why a reply ended. The numbers are permanent.
 */
enum qaio_stop_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The model had said all.
   */
  QAIO_STOP_REASON_END = 0,
  /**
   * max_tokens, or the end of the context, was reached.
   */
  QAIO_STOP_REASON_LENGTH = 1,
  /**
   * One of the stop strings came up; it is not part of the text.
   */
  QAIO_STOP_REASON_STOP_STRING = 2,
  /**
   * The callback returned something other than 0.
   */
  QAIO_STOP_REASON_CALLBACK = 3,
  /**
   * The cancel token was set after the first token.
   */
  QAIO_STOP_REASON_CANCELLED = 4,
  /**
   * The deadline passed after the first token.
   */
  QAIO_STOP_REASON_DEADLINE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum qaio_stop_reason qaio_stop_reason;
#else
typedef int32_t qaio_stop_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much to log. The numbers are permanent.
 */
enum qaio_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing.
   */
  QAIO_LOG_LEVEL_OFF = 0,
  /**
   * What failed in the background.
   */
  QAIO_LOG_LEVEL_ERROR = 1,
  /**
   * What looks wrong.
   */
  QAIO_LOG_LEVEL_WARN = 2,
  /**
   * Loading and freeing of models.
   */
  QAIO_LOG_LEVEL_INFO = 3,
  /**
   * Everything.
   */
  QAIO_LOG_LEVEL_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum qaio_log_level qaio_log_level;
#else
typedef int32_t qaio_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The results of `qaio_task_classify_batch`, one row for each text, in their order.
 *
 * Freed by `qaio_batch_free`; may outlive task and model. Its getters answer NULL with their zero. Threads: any number at
 * once, but see `qaio_batch_evaluate` and `qaio_batch_fit`.
 */
typedef struct qaio_batch qaio_batch;

/**
 * A switch that ends the calls it was given to.
 *
 * Set before a call's first token it makes the call return `QAIO_STATUS_CANCELLED`; later the reply ends where it is,
 * with `QAIO_STOP_REASON_CANCELLED`. Freed by `qaio_cancel_free`, also while a call still uses it. Threads: any number
 * at once.
 */
typedef struct qaio_cancel qaio_cancel;

/**
 * Which of a task's labels a text has, and how sure that is.
 *
 * Freed by `qaio_classification_free`; may outlive task and model. Its getters answer NULL with their zero. Threads: any
 * number at once.
 */
typedef struct qaio_classification qaio_classification;

/**
 * A loaded model: weights, tokenizer and prompts, immutable.
 *
 * One model lives in a process; every handle to it is the same instance. It lives as long as any handle, session or
 * running call uses it. Freed by `qaio_model_free`. Threads: one handle may be used by any number of threads at once.
 */
typedef struct qaio_model qaio_model;

/**
 * A reply of the assistant.
 *
 * Freed by `qaio_reply_free`; may outlive the model. Its getters answer NULL with their zero. Threads: any number at
 * once.
 */
typedef struct qaio_reply qaio_reply;

/**
 * What a text's sentiment is and how sure that is.
 *
 * Freed by `qaio_sentiment_free`; may outlive the model. Its getters answer NULL with their zero. Threads: any number
 * at once.
 */
typedef struct qaio_sentiment qaio_sentiment;

/**
 * A conversation with the assistant: each message is answered with those before it in mind.
 *
 * Freed by `qaio_session_free`; keeps the model alive. Threads: one call at a time. A call while another is running,
 * also from that one's own callback, gets `QAIO_STATUS_BUSY` at once.
 */
typedef struct qaio_session qaio_session;

/**
 * A task: a role with a closed set of answers (its labels), such as the intent of a message. Immutable.
 *
 * Freed by `qaio_task_free`; keeps the model alive. Threads: one handle may be used by any number of threads at once.
 */
typedef struct qaio_task qaio_task;

/**
 * Gets a piece of text: whole code points of UTF-8, `len` bytes with a NUL after them, valid during the call only.
 * Returning anything but 0 stops what produces the text.
 *
 * It runs on the thread that made the call. It may call the library, except for the session whose call it is in (that
 * gets `QAIO_STATUS_BUSY`). It must return normally: no exception and no longjmp may leave it.
 */
typedef int32_t (*qaio_callback)(void *user_data, const char *piece, size_t len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Loads a model, or gives another handle to the one that is loaded already.
 *
 * @param path    a directory in Hugging Face's layout (config.json, tokenizer.json, *.safetensors) or a GGUF file, of
 *                Qwen1.5, Qwen2, Qwen2.5 or Qwen3 (dense); UTF-8. NULL: the built-in demonstration model.
 *                The files are memory-mapped: leave them as they are while the model is loaded, or set "mmap": false.
 * @param options JSON or NULL. "precision": "auto" (default; a GGUF file as it is, safetensors as q8), "f32", "bf16",
 *                "q8", "q4". "threads": 1 to 1024 (default: physical cores). "context": most tokens of a prompt and
 *                its reply, 64 to 1048576 (default and upper limit: the model's own). "mmap": true (default), or
 *                false to copy the weights into memory, after which nobody can pull them away by truncating the file.
 *                "deadline_ms".
 *                An option that is left out agrees with whatever is loaded.
 * @param cancel  NULL, or a token that ends loading early.
 * @param out     gets the handle; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT (out is NULL); INVALID_UTF8; UNKNOWN_OPTION; INVALID_OPTION; NOT_FOUND; IO;
 *         MODEL_INCOMPLETE; MODEL_CORRUPT; MODEL_UNSUPPORTED; MODEL_NOT_FINITE; MODEL_CONFLICT (something else is
 *         loaded); CANCELLED; DEADLINE_EXCEEDED; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any; of several that load the same at once, one loads and the others wait for it.
 *
 * # Safety
 * Strings are NUL-terminated; out is NULL or writable.
 */
qaio_status qaio_model_load(const char *path,
                            const char *options,
                            const qaio_cancel *cancel,
                            qaio_model **out);

/**
 * Loads a GGUF file from memory. As `qaio_model_load` otherwise.
 *
 * @param data the file's bytes; they are copied, so the caller may free them right after.
 * @param len  their number.
 *
 * @return as `qaio_model_load`, without NOT_FOUND, IO and MODEL_INCOMPLETE.
 *
 * Threads: any.
 *
 * # Safety
 * data points to len readable bytes; the rest as `qaio_model_load`.
 */
qaio_status qaio_model_load_memory(const uint8_t *data,
                                   size_t len,
                                   const char *options,
                                   const qaio_cancel *cancel,
                                   qaio_model **out);

/**
 * Facts about the model as a JSON object: name, architecture, parameters, format, weight_bytes, kv_bytes_per_token,
 * context, vocabulary, layers, threads, kernels.
 *
 * @param json gets the text, owned by the handle and valid until it is freed.
 * @param len  NULL, or gets its length in bytes.
 *
 * @return OK; INVALID_ARGUMENT; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * model is NULL or a live handle; json and len are NULL or writable.
 */
qaio_status qaio_model_info(const qaio_model *model, const char **json, size_t *len);

/**
 * Frees a handle. The model itself goes with the last of its users. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * model is NULL or a handle that was not freed yet.
 */
void qaio_model_free(qaio_model *model);

/**
 * Is this text happy? The whole answer in one call.
 *
 * @param text     any UTF-8; it need not be NUL-terminated.
 * @param len      its length in bytes.
 * @param polarity gets QAIO_POLARITY_POSITIVE or QAIO_POLARITY_NEGATIVE.
 * @param score    NULL, or gets the probability of that answer among the two, 0.5 to 1.
 *
 * @return OK; INVALID_ARGUMENT; INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * model is NULL or a live handle; text points to len readable bytes; polarity and score are NULL or writable.
 */
qaio_status qaio_model_classify_sentiment(const qaio_model *model,
                                          const char *text,
                                          size_t len,
                                          qaio_polarity *polarity,
                                          double *score);

/**
 * Finds the sentiment of a text, with everything that is known about it.
 *
 * @param text    any UTF-8; it need not be NUL-terminated.
 * @param len     its length in bytes.
 * @param options JSON or NULL. "threshold": a lower score counts as unsure, 0 to 1 (default 0.6). "label_mass":
 *                whether to measure it (default true; costs a pass over the vocabulary). "truncate": cut the middle
 *                out of a text that is too long (default false: it is refused). "deadline_ms".
 * @param cancel  NULL, or a token that ends the call early.
 * @param out     gets the result; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT; INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; UNKNOWN_OPTION; INVALID_OPTION; CANCELLED;
 *         DEADLINE_EXCEEDED; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; out is NULL or
 * writable.
 */
qaio_status qaio_model_sentiment(const qaio_model *model,
                                 const char *text,
                                 size_t len,
                                 const char *options,
                                 const qaio_cancel *cancel,
                                 qaio_sentiment **out);

/**
 * The likelier of the two; QAIO_POLARITY_NEGATIVE for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle.
 */
qaio_polarity qaio_sentiment_polarity(const qaio_sentiment *sentiment);

/**
 * The probability of that answer among the two, 0.5 to 1; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle.
 */
double qaio_sentiment_score(const qaio_sentiment *sentiment);

/**
 * The probability of both answers together among all that the model could say, 0 to 1: low means that it wanted to say
 * something else. -1 if it was not measured; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle.
 */
double qaio_sentiment_label_mass(const qaio_sentiment *sentiment);

/**
 * 1 if score or label mass is too low to rely on, else 0; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle.
 */
int32_t qaio_sentiment_unsure(const qaio_sentiment *sentiment);

/**
 * The label, 正面 or 负面. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_sentiment_label(const qaio_sentiment *sentiment, size_t *len);

/**
 * The line that announces the label: 😄 LLM 情感判断: 正面. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_sentiment_line(const qaio_sentiment *sentiment, size_t *len);

/**
 * All of it as a JSON object: label, score, label_mass (null if it was not measured), unsure, line, and usage with
 * prompt_tokens, cached_tokens (of these, not computed again), reply_tokens and elapsed_ms. Owned by the handle; NULL
 * for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * sentiment is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_sentiment_json(const qaio_sentiment *sentiment,
                                size_t *len);

/**
 * Frees the result. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * sentiment is NULL or a handle that was not freed yet.
 */
void qaio_sentiment_free(qaio_sentiment *sentiment);

/**
 * Replies to a text with its sentiment in mind.
 *
 * @param text      any UTF-8; it need not be NUL-terminated.
 * @param len       its length in bytes.
 * @param sentiment what `qaio_model_sentiment` found; NULL: it is found first.
 * @param options   JSON or NULL. "max_tokens": at least 1 (default 256). "temperature": 0 (always the likeliest token)
 *                  to 10. "top_k": 0 is off. "top_p": 0 (exclusive) to 1. "min_p": 0 to 1. "repetition_penalty": 0.1
 *                  to 10, 1 is off. (These five default to the model's generation_config.json.) "seed": same seed,
 *                  same text, same reply (default 0). "stop": up to 16 texts that end the reply. "truncate": cut the
 *                  middle out of a text that is too long (default false: it is refused). "context": up to 256 passages
 *                  that the reply may draw on, the most important first; they go into the prompt as data.
 *                  "context_tokens": most tokens of all of them (default 512, at most half of the model's context); what
 *                  does not fit is cut or left out. "deadline_ms".
 * @param cancel    NULL, or a token that ends the call early.
 * @param on_piece  NULL, or gets the reply's text as it comes; returning anything but 0 ends the reply.
 * @param user_data handed to on_piece.
 * @param out       NULL, or gets the whole reply; the caller owns it.
 *
 * @return OK, also for a reply that ended early (see `qaio_reply_stop_reason`); INVALID_ARGUMENT; INVALID_UTF8;
 *         EMPTY_TEXT; CONTEXT_OVERFLOW; UNKNOWN_OPTION; INVALID_OPTION; CANCELLED and DEADLINE_EXCEEDED (before the
 *         first token); FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any; on_piece runs on the calling one.
 *
 * # Safety
 * Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; out is NULL or
 * writable.
 */
qaio_status qaio_model_reply(const qaio_model *model,
                             const char *text,
                             size_t len,
                             const qaio_sentiment *sentiment,
                             const char *options,
                             const qaio_cancel *cancel,
                             qaio_callback on_piece,
                             void *user_data,
                             qaio_reply **out);

/**
 * Sentiment and reply in one call: the label is known before the first word.
 *
 * @param text          any UTF-8; it need not be NUL-terminated.
 * @param len           its length in bytes.
 * @param options       as for `qaio_model_reply`.
 * @param cancel        NULL, or a token that ends the call early.
 * @param on_sentiment  NULL, or is called once before the reply with the sentiment as JSON (as `qaio_sentiment_json`);
 *                      returning anything but 0 ends the turn without a reply.
 * @param on_piece      NULL, or gets the reply's text as it comes; returning anything but 0 ends the reply.
 * @param user_data     handed to both.
 * @param out_sentiment NULL, or gets the sentiment; the caller owns it.
 * @param out_reply     NULL, or gets the whole reply; the caller owns it.
 *
 * @return as `qaio_model_reply`.
 *
 * Threads: any; the callbacks run on the calling one.
 *
 * # Safety
 * Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; the outputs are NULL
 * or writable.
 */
qaio_status qaio_model_turn(const qaio_model *model,
                            const char *text,
                            size_t len,
                            const char *options,
                            const qaio_cancel *cancel,
                            qaio_callback on_sentiment,
                            qaio_callback on_piece,
                            void *user_data,
                            qaio_sentiment **out_sentiment,
                            qaio_reply **out_reply);

/**
 * What the assistant said. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * reply is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_reply_text(const qaio_reply *reply, size_t *len);

/**
 * Why the reply ended; QAIO_STOP_REASON_END for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * reply is NULL or a live handle.
 */
qaio_stop_reason qaio_reply_stop_reason(const qaio_reply *reply);

/**
 * All of it as a JSON object: text, stop_reason ("end", "length", "stop_string", "callback", "cancelled" or
 * "deadline"), and usage with prompt_tokens, cached_tokens, reply_tokens and elapsed_ms. Owned by the handle; NULL for
 * NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * reply is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_reply_json(const qaio_reply *reply,
                            size_t *len);

/**
 * Frees the reply. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * reply is NULL or a handle that was not freed yet.
 */
void qaio_reply_free(qaio_reply *reply);

/**
 * Begins a conversation.
 *
 * @param options JSON or NULL. "system": the assistant's instructions in place of the built-in ones.
 * @param out     gets the session; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT; UNKNOWN_OPTION; INVALID_OPTION; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * model is NULL or a live handle; options is NULL or NUL-terminated; out is NULL or writable.
 */
qaio_status qaio_session_create(const qaio_model *model, const char *options, qaio_session **out);

/**
 * Says something and gets sentiment and reply, as `qaio_model_turn`, with the conversation so far in mind.
 *
 * A reply that ended early stays in the history as far as it came. After any status but OK the history is as before.
 * With the option "truncate" a conversation that is too long forgets its oldest messages.
 *
 * @return as `qaio_model_turn`; BUSY.
 *
 * Threads: one call at a time per session; the callbacks run on the calling thread.
 *
 * # Safety
 * As `qaio_model_turn`.
 */
qaio_status qaio_session_send(qaio_session *session,
                              const char *text,
                              size_t len,
                              const char *options,
                              const qaio_cancel *cancel,
                              qaio_callback on_sentiment,
                              qaio_callback on_piece,
                              void *user_data,
                              qaio_sentiment **out_sentiment,
                              qaio_reply **out_reply);

/**
 * Forgets the conversation; the instructions stay.
 *
 * @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: one call at a time per session.
 *
 * # Safety
 * session is NULL or a live handle.
 */
qaio_status qaio_session_reset(qaio_session *session);

/**
 * Makes a second session that goes on from here; what both have in common is shared, not copied.
 *
 * @param out gets the new session; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: one call at a time per session.
 *
 * # Safety
 * session is NULL or a live handle; out is NULL or writable.
 */
qaio_status qaio_session_fork(qaio_session *session, qaio_session **out);

/**
 * The conversation so far as a JSON array, oldest first: {"role": "user", "content", "label", "score"} and {"role":
 * "assistant", "content", "stop_reason"} in turn.
 *
 * @param json gets the text, owned by the session and valid until its next call.
 * @param len  NULL, or gets its length in bytes.
 *
 * @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: one call at a time per session.
 *
 * # Safety
 * session is NULL or a live handle; json and len are NULL or writable.
 */
qaio_status qaio_session_history(qaio_session *session, const char **json, size_t *len);

/**
 * Frees the session. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * session is NULL or a handle that was not freed yet.
 */
void qaio_session_free(qaio_session *session);

/**
 * Makes a task of its definition: checks it, and prefills its prompt once for all calls.
 *
 * @param definition the name of a task that comes with the library ("sentiment", "intent", "language"), or the text of a
 *                   task file, NUL-terminated JSON: "name"; "system", the instructions; "template", the user's message
 *                   with {text} where the text goes; "labels", 2 to 64 texts, or objects with "text", "id" and
 *                   "description"; and if wanted "threshold" (default 0.6), "examples" (objects with "text" and
 *                   "label") and "calibration" (an object with "content_free", texts that say nothing; "bias", by
 *                   label id; "temperature"). tasks/task.schema.json has the rest.
 * @param cancel     NULL, or a token that ends the call early.
 * @param out        gets the task; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT; INVALID_UTF8; INVALID_TASK (the message names the field); NOT_FOUND (no such name);
 *         CANCELLED; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * Handles are NULL or live; definition is NULL or NUL-terminated; out is NULL or writable.
 */
qaio_status qaio_task_create(const qaio_model *model,
                             const char *definition,
                             const qaio_cancel *cancel,
                             qaio_task **out);

/**
 * The task's definition as JSON, as a task file has it. Labels are numbered in its order.
 *
 * @param json gets the text, owned by the handle and valid until it is freed.
 * @param len  NULL, or gets its length in bytes.
 *
 * @return OK; INVALID_ARGUMENT; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * task is NULL or a live handle; json and len are NULL or writable.
 */
qaio_status qaio_task_definition(const qaio_task *task, const char **json, size_t *len);

/**
 * Finds the label of a text.
 *
 * @param text    any UTF-8; it need not be NUL-terminated.
 * @param len     its length in bytes.
 * @param options JSON or NULL, as for `qaio_model_sentiment`; "threshold" is the task's own by default.
 * @param cancel  NULL, or a token that ends the call early.
 * @param out     gets the result; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT; INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; UNKNOWN_OPTION; INVALID_OPTION; CANCELLED;
 *         DEADLINE_EXCEEDED; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; out is NULL or
 * writable.
 */
qaio_status qaio_task_classify(const qaio_task *task,
                               const char *text,
                               size_t len,
                               const char *options,
                               const qaio_cancel *cancel,
                               qaio_classification **out);

/**
 * Finds the labels of many texts, packed into as few passes as fit. Each result equals that of `qaio_task_classify`.
 *
 * A text that cannot be classified fails alone: its row has the status. A batch that is ended early, by its callback, its
 * token or its deadline, keeps the rows that are done and is OK all the same; the others have the status CANCELLED or
 * DEADLINE_EXCEEDED.
 *
 * @param texts       count pointers to UTF-8; they need not be NUL-terminated.
 * @param lens        the length of each in bytes; NULL if all are NUL-terminated.
 * @param count       how many; 0 is fine.
 * @param options     as for `qaio_task_classify`; "deadline_ms" is for the whole batch.
 * @param cancel      NULL, or a token that ends the batch early.
 * @param on_progress NULL, or gets {"done": number, "total": number} after each few dozen texts.
 * @param user_data   given to on_progress.
 * @param out         gets the results; the caller owns them.
 *
 * @return OK; INVALID_ARGUMENT; UNKNOWN_OPTION; INVALID_OPTION; FORKED; OUT_OF_MEMORY; INTERNAL.
 *
 * Threads: any; the callback runs on the calling thread.
 *
 * # Safety
 * Handles are NULL or live; texts and lens point to count readable elements each, and each text to its bytes; options is
 * NULL or NUL-terminated; out is NULL or writable.
 */
qaio_status qaio_task_classify_batch(const qaio_task *task,
                                     const char *const *texts,
                                     const size_t *lens,
                                     size_t count,
                                     const char *options,
                                     const qaio_cancel *cancel,
                                     qaio_callback on_progress,
                                     void *user_data,
                                     qaio_batch **out);

/**
 * Frees the task. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * task is NULL or a handle that was not freed yet.
 */
void qaio_task_free(qaio_task *task);

/**
 * The number of the likeliest label, in the order of the task's definition; -1 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle.
 */
int32_t qaio_classification_index(const qaio_classification *classification);

/**
 * The text of the likeliest label. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_classification_label(const qaio_classification *classification, size_t *len);

/**
 * The id of the likeliest label: its text, unless the task's definition has another. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_classification_id(const qaio_classification *classification,
                                   size_t *len);

/**
 * The probability of the likeliest label among the labels, 0 to 1; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle.
 */
double qaio_classification_score(const qaio_classification *classification);

/**
 * The probability of the label with this number among the labels; they sum to 1. 0 for NULL, and for a number that no
 * label has.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle.
 */
double qaio_classification_probability(const qaio_classification *classification,
                                       size_t index);

/**
 * The probability that the model's answer begins as one of the labels, 0 to 1: low means that it wanted to say something
 * else. -1 if it was not measured; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle.
 */
double qaio_classification_label_mass(const qaio_classification *classification);

/**
 * 1 if score or label mass is too low to rely on, else 0; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle.
 */
int32_t qaio_classification_unsure(const qaio_classification *classification);

/**
 * All of it as a JSON object: label, id, index, score, probabilities (by label), label_mass (null if it was not measured),
 * unsure, and usage as in `qaio_sentiment_json`. Owned by the handle; NULL for NULL.
 *
 * @param len NULL, or gets the length in bytes.
 *
 * Threads: any.
 *
 * # Safety
 * classification is NULL or a live handle; len is NULL or writable.
 */
const char *qaio_classification_json(const qaio_classification *classification,
                                     size_t *len);

/**
 * Frees the result. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * classification is NULL or a handle that was not freed yet.
 */
void qaio_classification_free(qaio_classification *classification);

/**
 * The number of rows; 0 for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * batch is NULL or a live handle.
 */
size_t qaio_batch_count(const qaio_batch *batch);

/**
 * The number of each row's likeliest label, in the order of the task's definition; -1 where the row has an error. As many
 * as `qaio_batch_count` says. Owned by the handle; NULL for NULL.
 *
 * Threads: any.
 *
 * # Safety
 * batch is NULL or a live handle.
 */
const int32_t *qaio_batch_indexes(const qaio_batch *batch);

/**
 * The probabilities of all labels, row by row; NaN where the row has an error. Owned by the handle; NULL for NULL.
 *
 * @param labels NULL, or gets the number of labels, which is the length of a row.
 *
 * Threads: any.
 *
 * # Safety
 * batch is NULL or a live handle; labels is NULL or writable.
 */
const double *qaio_batch_probabilities(const qaio_batch *batch, size_t *labels);

/**
 * One row, with everything that is known about it; or its status, if it has an error (`qaio_last_error` has the
 * sentence).
 *
 * @param row from 0 to `qaio_batch_count` - 1.
 * @param out gets the result; the caller owns it.
 *
 * @return OK; INVALID_ARGUMENT (also for a row that does not exist); OUT_OF_MEMORY; FORKED; INTERNAL; and the row's own:
 *         INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; CANCELLED; DEADLINE_EXCEEDED.
 *
 * Threads: any.
 *
 * # Safety
 * batch is NULL or a live handle; out is NULL or writable.
 */
qaio_status qaio_batch_row(const qaio_batch *batch,
                           size_t row,
                           qaio_classification **out);

/**
 * Compares the rows with their true labels: a JSON object with rows, failed, unlabelled, accuracy, macro_f1,
 * calibration_error (expected, ten bins), brier, log_loss, threshold, coverage (share of rows at or above it),
 * sure_accuracy, confusion (rows by true label, then found label), and for each of labels: label, rows, found, precision,
 * recall, f1.
 *
 * @param truth the number of each row's true label; below 0 where it is not known.
 * @param count as `qaio_batch_count`.
 * @param json  gets the text, owned by the batch and valid until its next evaluation or fit.
 * @param len   NULL, or gets its length in bytes.
 *
 * @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: one evaluation or fit at a time per batch.
 *
 * # Safety
 * batch is NULL or a live handle; truth points to count readable numbers; json and len are NULL or writable.
 */
qaio_status qaio_batch_evaluate(qaio_batch *batch,
                                const int32_t *truth,
                                size_t count,
                                const char **json,
                                size_t *len);

/**
 * The definition of the batch's task with a calibration (a bias per label, and a temperature) that fits the true labels: a
 * task file, ready to be saved and given to `qaio_task_create`. A few dozen rows are enough; few rows change little.
 *
 * @param truth the number of each row's true label; below 0 where it is not known.
 * @param count as `qaio_batch_count`.
 * @param json  gets the text, owned by the batch and valid until its next evaluation or fit.
 * @param len   NULL, or gets its length in bytes.
 *
 * @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: one evaluation or fit at a time per batch.
 *
 * # Safety
 * batch is NULL or a live handle; truth points to count readable numbers; json and len are NULL or writable.
 */
qaio_status qaio_batch_fit(qaio_batch *batch,
                           const int32_t *truth,
                           size_t count,
                           const char **json,
                           size_t *len);

/**
 * Frees the batch. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * batch is NULL or a handle that was not freed yet.
 */
void qaio_batch_free(qaio_batch *batch);

/**
 * Makes a token that is not set. The caller owns it.
 *
 * @return OK; INVALID_ARGUMENT (out is NULL); OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * out is NULL or writable.
 */
qaio_status qaio_cancel_create(qaio_cancel **out);

/**
 * Ends the calls that have this token, now and later, until it is reset.
 *
 * @return OK; INVALID_ARGUMENT; FORKED; INTERNAL.
 *
 * Threads: any, also from a callback.
 *
 * # Safety
 * cancel is NULL or a live handle.
 */
qaio_status qaio_cancel_set(const qaio_cancel *cancel);

/**
 * Makes a token that was set usable for new calls.
 *
 * @return OK; INVALID_ARGUMENT; FORKED; INTERNAL.
 *
 * Threads: any.
 *
 * # Safety
 * cancel is NULL or a live handle.
 */
qaio_status qaio_cancel_reset(const qaio_cancel *cancel);

/**
 * Frees the token. Calls that have it go on and can no longer be cancelled. NULL: nothing happens.
 *
 * Threads: any, when no other thread uses this handle any more.
 *
 * # Safety
 * cancel is NULL or a handle that was not freed yet.
 */
void qaio_cancel_free(qaio_cancel *cancel);

/**
 * The message of this thread's last call that returns a status: what failed, with which value or file, and what to do.
 * Empty if that call succeeded. Owned by the library, valid until the thread's next such call. Never NULL.
 *
 * Threads: each thread has its own.
 */
const char *qaio_last_error(void);

/**
 * The name of a status, such as "QAIO_STATUS_BUSY"; "QAIO_STATUS_UNKNOWN" for a number that is none. Static.
 *
 * Threads: any.
 */
const char *qaio_status_name(int32_t status);

/**
 * Sets who gets the library's log messages, in place of the one before. The library itself never prints.
 *
 * @param level     a qaio_log_level; messages beyond it are not made.
 * @param callback  gets each message, such as "info: loaded qaio-mini"; its result is ignored. NULL: nobody.
 * @param user_data handed to callback.
 *
 * @return OK; INVALID_ARGUMENT (no such level; or the host is a Rust program with a logger of its own, which gets the
 *         messages instead); OUT_OF_MEMORY; FORKED; INTERNAL.
 *
 * Threads: any. The callback may be called from any thread, and a last time shortly after another one was set.
 */
qaio_status qaio_log_set(int32_t level,
                         qaio_callback callback,
                         void *user_data);

/**
 * The QAIO_ABI_VERSION of the loaded library.
 *
 * Threads: any.
 */
uint32_t qaio_abi_version(void);

/**
 * Version and git revision of the loaded library, such as "0.1.0+1a2b3c4" (its beginning is QAIO_VERSION). Static.
 *
 * Threads: any.
 */
const char *qaio_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* QAIO_H */


