//! The tasks: sentiment, reply, turn and session, on the built-in model.

use qaio::engine::{Message, Role};
use qaio::{
    CancelToken, ClassifyOptions, ErrorKind, LoadOptions, Model, Polarity, ReplyOptions, Session, SessionOptions,
    StopReason, Turn,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

fn model() -> Arc<Model> {
    Model::load(None, &LoadOptions::default(), None).unwrap()
}

fn short() -> ReplyOptions {
    ReplyOptions { max_tokens: 12, ..ReplyOptions::default() }
}

fn say(session: &mut Session, text: &str) -> Turn {
    session.send(text, &short(), None, &mut |_| GO_ON, &mut |_| GO_ON).unwrap()
}

/// The messages that the README opens with, and their like in English.
#[test]
fn the_first_messages_are_understood() {
    let model = model();
    for (text, polarity) in [
        ("终于把bug修完了，感觉整个人都轻松了！", Polarity::Positive),
        ("项目延期了，客户又要投诉，压力好大。", Polarity::Negative),
        ("I finally fixed the bug and I feel so relieved!", Polarity::Positive),
        ("My flight got cancelled and nobody at the desk would help me.", Polarity::Negative),
    ] {
        let turn = model.turn(text, &ReplyOptions::default(), None, &mut |_| GO_ON, &mut |_| GO_ON).unwrap();
        assert_eq!(turn.sentiment.polarity, polarity, "{text}");
        let reply = &turn.reply.text;
        let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        assert_eq!(reply.chars().any(is_han), text.chars().any(is_han), "{text} -> {reply}");
        assert_eq!(turn.reply.stop_reason, StopReason::End, "{text} -> {reply}");
    }
}

#[test]
fn the_line_is_the_seeds() {
    assert_eq!(Polarity::Positive.line(), "😄 LLM 情感判断: 正面");
    assert_eq!(Polarity::Negative.line(), "😄 LLM 情感判断: 负面");
}

#[test]
fn a_call_after_the_first_costs_only_the_texts_own_tokens() {
    let model = model();
    let options = ClassifyOptions::default();
    model.sentiment("第一句话", &options, None).unwrap();
    let again = model.sentiment("今天真好", &options, None).unwrap().usage;
    let system = model.engine().tokenizer().encode("system\n你是一个冷酷的情感分析师，只关注情绪极性。").unwrap();
    assert!(again.cached_tokens > system.len(), "{again:?}");
    let longer = model.sentiment("今天真好，今天真好", &options, None).unwrap().usage;
    assert_eq!(longer.cached_tokens, again.cached_tokens);
    let own = |usage: qaio::Usage| usage.prompt_tokens - usage.cached_tokens;
    let suffix = model.engine().tokenizer().encode("文本：\n情绪：assistant\n").unwrap().len() + 8;
    assert!(own(again) <= suffix + 4 * 3, "{again:?}");
}

#[test]
fn the_same_text_gets_the_same_bits_in_any_company() {
    let texts = ["今天真好", "I lost my keys again.", "快递三天没到", "What a lovely surprise!"];
    let model = model();
    let options = ClassifyOptions::default();
    let scores = |text: &&str| {
        let found = model.sentiment(text, &options, None).unwrap();
        (found.polarity, found.score.to_bits(), found.label_mass.map(f64::to_bits))
    };
    let alone: Vec<_> = texts.iter().map(scores).collect();
    let reply = |text: &str| model.reply(text, None, &short(), None, &mut |_| GO_ON).unwrap().text;
    let first_reply = reply(texts[0]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(texts.iter().map(scores).collect::<Vec<_>>(), alone);
                    assert_eq!(reply(texts[0]), first_reply);
                }
            });
        }
    });
}

#[test]
fn pieces_make_up_the_reply_and_the_sentiment_comes_first() {
    let mut events = Vec::new();
    let mut pieces = String::new();
    let events_cell = std::cell::RefCell::new(&mut events);
    let turn = model()
        .turn(
            "周末去爬山了，风景特别好",
            &ReplyOptions::default(),
            None,
            &mut |sentiment| {
                events_cell.borrow_mut().push(sentiment.line().to_owned());
                GO_ON
            },
            &mut |piece| {
                events_cell.borrow_mut().push("piece".to_owned());
                pieces += piece;
                GO_ON
            },
        )
        .unwrap();
    assert_eq!(pieces, turn.reply.text);
    assert_eq!(events[0], turn.sentiment.line());
    assert!(events[1..].iter().all(|event| event == "piece"));
    assert!(turn.sentiment.score >= 0.5 && turn.sentiment.score <= 1.0);
    let mass = turn.sentiment.label_mass.unwrap();
    assert!(mass > 0.0 && mass <= 1.0 + 1e-9);
}

#[test]
fn a_reply_tells_why_it_ended() {
    let model = model();
    let text = "今天下雨了，路上很堵，迟到了";
    let whole =
        model.reply(text, None, &ReplyOptions { max_tokens: 40, ..ReplyOptions::default() }, None, &mut |_| GO_ON);
    let whole = whole.unwrap().text;
    let reply = |options: &ReplyOptions, cancel: Option<CancelToken>, on_piece: &mut qaio::OnPiece| {
        model.reply(text, None, options, cancel, on_piece).unwrap()
    };
    let one = reply(&ReplyOptions { max_tokens: 1, ..ReplyOptions::default() }, None, &mut |_| GO_ON);
    assert_eq!((one.stop_reason, one.usage.reply_tokens), (StopReason::Length, 1));

    let broken = reply(&ReplyOptions::default(), None, &mut |_| ControlFlow::Break(()));
    assert_eq!(broken.stop_reason, StopReason::Callback);

    let third = whole.chars().nth(2).unwrap().to_string();
    let stopped = reply(&ReplyOptions { stop: vec![third.clone()], ..ReplyOptions::default() }, None, &mut |_| GO_ON);
    assert_eq!(stopped.stop_reason, StopReason::StopString);
    assert!(!stopped.text.contains(&third) && whole.starts_with(&stopped.text), "{} / {whole}", stopped.text);

    let token = CancelToken::new();
    let setter = token.clone();
    let cancelled = reply(&ReplyOptions::default(), Some(token.clone()), &mut |_| {
        setter.cancel();
        GO_ON
    });
    assert_eq!(cancelled.stop_reason, StopReason::Cancelled);
    assert!(!cancelled.text.is_empty() && whole.starts_with(&cancelled.text));
    let at_once = model.reply(text, None, &ReplyOptions::default(), Some(token), &mut |_| GO_ON);
    assert_eq!(at_once.unwrap_err().kind(), ErrorKind::Cancelled);

    let late = ReplyOptions { deadline_ms: Some(0), ..ReplyOptions::default() };
    let late = model.reply(text, None, &late, None, &mut |_| GO_ON);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

#[test]
fn a_seed_repeats_its_reply() {
    let model = model();
    let sampled = |seed| {
        let options = ReplyOptions { temperature: Some(8.0), seed, max_tokens: 20, ..ReplyOptions::default() };
        model.reply("今天吃了火锅", None, &options, None, &mut |_| GO_ON).unwrap().text
    };
    assert_eq!(sampled(1), sampled(1));
    let different = (2..8).map(sampled).collect::<std::collections::BTreeSet<_>>();
    assert!(different.len() > 1, "six seeds, one reply: {different:?}");
}

#[test]
fn a_session_remembers_forks_and_resets() {
    let model = model();
    let mut session = Session::new(model.clone(), &SessionOptions::default()).unwrap();
    let first = say(&mut session, "我今天升职了");
    let alone = model.turn("我今天升职了", &short(), None, &mut |_| GO_ON, &mut |_| GO_ON).unwrap();
    assert_eq!(first.reply.text, alone.reply.text);

    let second = say(&mut session, "不过要加班了");
    assert!(second.reply.usage.cached_tokens > first.reply.usage.prompt_tokens - 4, "{:?}", second.reply.usage);
    assert!(second.reply.usage.prompt_tokens > first.reply.usage.prompt_tokens);

    let mut fork = session.clone();
    let here = say(&mut session, "你觉得呢");
    let there = say(&mut fork, "你觉得呢");
    assert_eq!(here.reply.text, there.reply.text);
    say(&mut fork, "谢谢");
    assert_eq!((session.history().len(), fork.history().len()), (3, 4));

    let json: serde_json::Value = serde_json::from_str(&session.history_json()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 6);
    assert_eq!(json[0]["role"], "user");
    assert_eq!(json[0]["content"], "我今天升职了");
    assert_eq!(json[0]["label"], first.sentiment.polarity.label());
    assert_eq!(json[1]["content"], first.reply.text);

    session.reset();
    assert!(session.history().is_empty());
    assert_eq!(say(&mut session, "我今天升职了").reply.text, first.reply.text);
}

#[test]
fn a_session_goes_on_after_a_call_that_failed() {
    let mut session = Session::new(model(), &SessionOptions::default()).unwrap();
    let first = say(&mut session, "今天很累");
    let late = ReplyOptions { deadline_ms: Some(0), ..short() };
    assert!(session.send("再说一句", &late, None, &mut |_| GO_ON, &mut |_| GO_ON).is_err());
    assert_eq!(session.history().len(), 1);
    let mut other = Session::new(model(), &SessionOptions::default()).unwrap();
    assert_eq!(say(&mut other, "今天很累").reply.text, first.reply.text);
    assert_eq!(say(&mut other, "再说一句").reply.text, say(&mut session, "再说一句").reply.text);
}

#[test]
fn a_session_is_restored_and_its_last_message_answered_anew() {
    let mut session = Session::new(model(), &SessionOptions::default()).unwrap();
    for text in ["今天真好！", "I lost my keys."] {
        say(&mut session, text);
    }
    let kept: Vec<_> = session.history().to_vec();
    let mut restored = Session::restore(model(), &SessionOptions::default(), kept.clone()).unwrap();
    assert_eq!(restored.history_json(), session.history_json());
    let again = restored.answer_again(&short(), None, &mut |_| GO_ON, &mut |_| GO_ON).unwrap();
    assert_eq!(again.reply.text, kept[1].turn.reply.text, "the same options give the same reply");
    assert_eq!(say(&mut restored, "谢谢").reply.text, say(&mut session, "谢谢").reply.text);

    let cancelled = CancelToken::new();
    cancelled.cancel();
    let before = restored.history_json();
    let failed = restored.answer_again(&short(), Some(cancelled), &mut |_| GO_ON, &mut |_| GO_ON);
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(restored.history_json(), before);
    restored.reset();
    let nothing = restored.answer_again(&short(), None, &mut |_| GO_ON, &mut |_| GO_ON);
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_conversation_that_the_caller_keeps_is_completed() {
    let model = model();
    let complete =
        |messages: &[Message], options: &ReplyOptions| model.complete(messages, options, None, &mut |_| GO_ON);
    let user = |text: &str| Message::new(Role::User, text);
    let said = complete(&[user("今天真好！")], &short()).unwrap();
    let reply = model.reply("今天真好！", None, &short(), None, &mut |_| GO_ON).unwrap();
    assert_eq!(said.text, reply.text, "without instructions it is the assistant's role that answers");

    let mut long = vec![Message::new(Role::System, "Be brief.")];
    for _ in 0..400 {
        long.extend([user("What a day, what a day!"), Message::new(Role::Assistant, "Indeed.")]);
    }
    let question = user("And now?");
    long.push(question.clone());
    assert_eq!(complete(&long, &short()).unwrap_err().kind(), ErrorKind::ContextOverflow);
    let truncated = ReplyOptions { truncate: true, ..short() };
    let usage = complete(&long, &truncated).unwrap().usage;
    assert!(usage.prompt_tokens > model.engine().context() / 2, "no more than the oldest is forgotten: {usage:?}");
    for wrong in [&long[..long.len() - 1], &[]] {
        assert_eq!(complete(wrong, &short()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(complete(&[user(" ")], &short()).unwrap_err().kind(), ErrorKind::EmptyText);
}

#[test]
fn one_model_per_process() {
    let first = model();
    let again = Model::load(None, &LoadOptions { threads: Some(first.info().threads), ..Default::default() }, None);
    assert!(Arc::ptr_eq(&first, &again.unwrap()));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2-tiny");
    let conflict = Model::load(Some(&fixture), &LoadOptions::default(), None).err().unwrap();
    assert_eq!(conflict.kind(), ErrorKind::ModelConflict);
    assert!(conflict.message().contains("built-in") && conflict.message().contains("qwen2-tiny"), "{conflict}");
    let threads = LoadOptions { threads: Some(first.info().threads + 1), ..Default::default() };
    let conflict = Model::load(None, &threads, None).err().unwrap();
    assert_eq!(conflict.kind(), ErrorKind::ModelConflict);
    assert!(conflict.message().contains("threads"), "{conflict}");
}
