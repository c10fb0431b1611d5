// qaio.hpp: ownership, failures, callbacks and what they throw. Prints what failed; exits with 0 if nothing did.
#include "qaio.hpp"
#include "qaio.hpp"

#include <iostream>
#include <type_traits>
#include <vector>

static int failures;

#define CHECK(...)                                                                                                     \
    ((__VA_ARGS__) ? void() : (++failures, void(std::cerr << "wrapper.cpp:" << __LINE__ << ": failed: " #__VA_ARGS__ "\n")))

template <typename Function>
static std::string fails(qaio_status status, Function function)
{
    try {
        function();
    } catch (const qaio::Error &error) {
        CHECK(error.status() == status);
        CHECK(std::string(error.status_name()) == qaio_status_name(status));
        return error.what();
    }
    CHECK(!"nothing was thrown");
    return "";
}

template <typename Type>
constexpr bool moves_only =
    std::is_nothrow_move_constructible_v<Type> && std::is_nothrow_move_assignable_v<Type> && !std::is_copy_constructible_v<Type>;

static_assert(moves_only<qaio::Model> && moves_only<qaio::Session> && moves_only<qaio::CancelToken> &&
              moves_only<qaio::Sentiment> && moves_only<qaio::Reply> && moves_only<qaio::Turn> && moves_only<qaio::Task> &&
              moves_only<qaio::Classification> && moves_only<qaio::Batch>);
static_assert(std::is_base_of_v<std::runtime_error, qaio::Error>);

struct Mine {
    int number;
};

int main()
{
    const std::string text = "终于把bug修完了，感觉整个人都轻松了！";
    const std::string greedy = R"({"temperature": 0, "max_tokens": 24})";

    CHECK(fails(QAIO_STATUS_NOT_FOUND, [] { qaio::Model::load("no/such/model"); }).find("no/such/model") != std::string::npos);
    fails(QAIO_STATUS_NOT_FOUND, [] { qaio::Model::load(""); }); // an empty path is not the built-in model
    fails(QAIO_STATUS_INVALID_ARGUMENT, [] { qaio::Model::load(std::string_view("a\0b", 3)); });
    fails(QAIO_STATUS_UNKNOWN_OPTION, [] { qaio::Model::load(std::nullopt, R"({"thread": 1})"); });
    fails(QAIO_STATUS_MODEL_CORRUPT, [] { qaio::Model::load_memory("not a model at all.."); });

    qaio::Model model = qaio::Model::load(std::nullopt, "{}");
    CHECK(model.info() == qaio::Model::load().info());

    // results
    qaio::Sentiment sentiment = model.sentiment(text);
    qaio::Classified classified = model.classify_sentiment(text);
    CHECK(classified.polarity == sentiment.polarity() && classified.score == sentiment.score());
    CHECK(sentiment.label() == (sentiment.polarity() == qaio::Polarity::positive ? "正面" : "负面"));
    CHECK(sentiment.line() == "😄 LLM 情感判断: " + sentiment.label());
    CHECK(sentiment.label_mass().has_value() && sentiment.json().front() == '{');
    CHECK(!model.sentiment(text, R"({"label_mass": false})").label_mass());
    CHECK(model.sentiment(text, R"({"threshold": 1})").unsure() || sentiment.score() == 1);
    fails(QAIO_STATUS_EMPTY_TEXT, [&] { model.sentiment({}); });
    fails(QAIO_STATUS_INVALID_ARGUMENT, [&] { model.sentiment(text, std::string_view("{}\0{", 4)); });

    // callbacks: pieces, stopping, nothing to return
    std::string streamed;
    std::vector<std::string> order;
    qaio::Turn turn = model.turn(
        text, greedy, nullptr, [&](std::string_view json) { order.emplace_back(json); },
        [&](std::string_view piece) {
            streamed += piece;
            order.emplace_back(piece);
            return 0;
        });
    CHECK(order.size() >= 2 && order[0] == turn.sentiment.json() && streamed == turn.reply.text());
    CHECK(model.reply(text, greedy).text() == streamed && model.reply(text, turn.sentiment, greedy).text() == streamed);
    CHECK(turn.reply.stop_reason() == qaio::StopReason::end || turn.reply.stop_reason() == qaio::StopReason::length);
    qaio::Reply stopped = model.reply(text, greedy, nullptr, [](std::string_view) { return true; });
    CHECK(stopped.stop_reason() == qaio::StopReason::callback);

    // exceptions of callbacks come out again, whatever they are
    auto thrown = [&](auto call) {
        try {
            call();
        } catch (const Mine &mine) {
            return mine.number;
        }
        return 0;
    };
    auto bad = [](std::string_view) { throw Mine{7}; };
    qaio::Session session(model, R"({"system": "Answer like a pirate."})");
    CHECK(thrown([&] { model.reply(text, greedy, nullptr, bad); }) == 7);
    CHECK(thrown([&] { model.turn(text, greedy, nullptr, bad); }) == 7);
    CHECK(thrown([&] { model.turn(text, greedy, nullptr, nullptr, bad); }) == 7);
    CHECK(thrown([&] { session.send(text, greedy, nullptr, nullptr, bad); }) == 7);
    fails(QAIO_STATUS_BUSY, [&] { // also one of ours
        session.send(text, greedy, nullptr, [&](std::string_view) { session.reset(); });
    });

    // sessions
    session.reset();
    CHECK(session.history() == "[]");
    session.send(text, greedy);
    qaio::Session branch = session.fork();
    branch.send(text, greedy);
    CHECK(branch.history().size() > session.history().size());

    // cancelling
    qaio::CancelToken cancel;
    CHECK(model.reply(text, greedy, &cancel, [&](std::string_view) { cancel.set(); }).stop_reason() ==
          qaio::StopReason::cancelled);
    fails(QAIO_STATUS_CANCELLED, [&] { model.sentiment(text, {}, &cancel); });
    cancel.reset();
    model.sentiment(text, {}, &cancel);

    // an object that was moved from is like NULL
    qaio::Model moved = std::move(model);
    fails(QAIO_STATUS_INVALID_ARGUMENT, [&] { model.info(); });
    qaio::Sentiment kept = std::move(sentiment);
    CHECK(sentiment.label().empty() && sentiment.score() == 0 && !kept.label().empty());

    // results and sessions may outlive the model
    {
        qaio::Model gone = std::move(moved);
    }
    session.send(text, greedy);
    CHECK(!kept.line().empty() && turn.reply.json().front() == '{');
    // tasks
    model = qaio::Model::load();
    CHECK(fails(QAIO_STATUS_INVALID_TASK, [&] { qaio::Task(model, "{\"nam\": 1}"); }).find("nam") != std::string::npos);
    fails(QAIO_STATUS_NOT_FOUND, [&] { qaio::Task(model, "intents"); });
    qaio::Task intent(model, "intent");
    CHECK(intent.definition().find("投诉") != std::string::npos);
    qaio::Classification found = intent.classify("请问几点开门？");
    CHECK(found.index() >= 0 && found.score() == found.probability(static_cast<std::size_t>(found.index())));
    CHECK(!found.label().empty() && !found.id().empty() && found.json().front() == '{' && found.label_mass().has_value());
    CHECK(!intent.classify("请问几点开门？", R"({"label_mass": false})").label_mass().has_value());
    const std::vector<std::string> texts{"请问几点开门？", "", "谢谢"};
    std::size_t reports = 0;
    qaio::Batch batch = intent.classify_batch(texts, {}, nullptr, [&](std::string_view) { reports++; });
    CHECK(batch.size() == 3 && reports == 1 && batch.index(0) == found.index() && batch.index(1) == -1);
    CHECK(batch.row(0).score() == found.score());
    fails(QAIO_STATUS_EMPTY_TEXT, [&] { batch.row(1); });
    CHECK(batch.evaluate({0, -1, 2}).find("\"rows\":2") != std::string::npos);
    CHECK(qaio::Task(model, batch.fit({0, -1, 2})).classify("谢谢").index() >= 0);
    fails(QAIO_STATUS_INVALID_ARGUMENT, [&] { batch.evaluate({0}); });
    try {
        intent.classify_batch(texts, {}, nullptr, [](std::string_view) { throw Mine{3}; });
        CHECK(!"nothing was thrown");
    } catch (const Mine &mine) {
        CHECK(mine.number == 3);
    }

    return failures != 0;
}
