"""The Python package. From the repository's root: PYTHONPATH=bindings/python python3 -m unittest discover tests/python"""

import gc
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import qaio
from qaio import _native

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = (ROOT / "include" / "qaio.h").read_text(encoding="utf-8")
GGUF = ROOT / "src" / "builtin" / "qaio-mini.gguf"
HAPPY = "终于把bug修完了，感觉整个人都轻松了！"
SAD = "项目延期了，客户又要投诉，压力好大。"
LABELS = {"正面": qaio.Polarity.POSITIVE, "负面": qaio.Polarity.NEGATIVE}
GREEDY = {"temperature": 0, "max_tokens": 24}


class Header(unittest.TestCase):
    """``_native`` says what ``include/qaio.h`` says."""

    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER, flags=re.S)

    def test_functions(self):
        declared = re.findall(r"^[\w ]+[ *](qaio_\w+)\(([^)]*)\);", self.code, flags=re.M)
        self.assertEqual([name for name, _ in declared], list(_native.FUNCTIONS))
        for name, parameters in declared:
            count = 0 if parameters.strip() in ("", "void") else parameters.count(",") + 1
            self.assertEqual(count, len(_native.FUNCTIONS[name][1]), name)

    def test_enums(self):
        for name, enum in [
            ("STATUS", qaio.Status),
            ("POLARITY", qaio.Polarity),
            ("STOP_REASON", qaio.StopReason),
            ("LOG_LEVEL", qaio.LogLevel),
        ]:
            values = re.findall(rf"^\s*QAIO_{name}_(\w+) = (\d+),", self.code, flags=re.M)
            self.assertEqual({key: int(value) for key, value in values}, {item.name: item.value for item in enum})

    def test_versions(self):
        self.assertIn(f'#define QAIO_VERSION "{_native.QAIO_VERSION}"', self.code)
        self.assertIn(f"#define QAIO_ABI_VERSION {_native.QAIO_ABI_VERSION}\n", self.code)
        self.assertTrue(qaio.library_version().startswith(qaio.__version__))


class WithModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = qaio.load()

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def fails(self, status, call, *arguments, **options):
        with self.assertRaises(qaio.QaioError) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.status, status, str(caught.exception))
        self.assertEqual(caught.exception.status_name, f"QAIO_STATUS_{status.name}")
        return str(caught.exception)

    def talkative(self):
        """A text to which the model has at least three pieces to say."""
        for text in [HAPPY, SAD, "hello", "今天好累啊", "a", "你好", "The rain has stopped."]:
            pieces = []
            self.model.reply(text, on_piece=pieces.append, **GREEDY)
            if len(pieces) >= 3:
                return text
        self.fail("the model says next to nothing to any text")


class Results(WithModel):
    def test_sentiment(self):
        sentiment = self.model.sentiment(HAPPY)
        self.assertEqual(sentiment.polarity, LABELS[sentiment.label])
        self.assertEqual(sentiment.line, f"😄 LLM 情感判断: {sentiment.label}")
        self.assertTrue(0.5 <= sentiment.score <= 1 and 0 <= sentiment.label_mass <= 1)
        self.assertIsInstance(sentiment.unsure, bool)
        self.assertGreater(sentiment.usage.prompt_tokens, 0)
        self.assertIn(sentiment.label, sentiment.json)
        self.assertNotIn("json", repr(sentiment))
        self.assertIsNone(self.model.sentiment(HAPPY, label_mass=False).label_mass)
        self.assertEqual(self.model.classify_sentiment(HAPPY), (sentiment.polarity, sentiment.score))

    def test_text_may_be_bytes(self):
        self.assertEqual(self.model.classify_sentiment(SAD.encode()), self.model.classify_sentiment(SAD))
        self.assertEqual(self.model.classify_sentiment(bytearray(SAD.encode())), self.model.classify_sentiment(SAD))
        self.assertEqual(self.model.classify_sentiment("a\0b").score, self.model.classify_sentiment(b"a\0b").score)

    def test_reply(self):
        text = self.talkative()
        pieces = []
        reply = self.model.reply(text, on_piece=pieces.append, **GREEDY)
        self.assertEqual("".join(pieces), reply.text)
        self.assertEqual(str(reply), reply.text)
        self.assertIn(reply.stop_reason, (qaio.StopReason.END, qaio.StopReason.LENGTH))
        sentiment = self.model.sentiment(text)
        self.assertEqual(self.model.reply(text, sentiment=sentiment, **GREEDY).text, reply.text)
        short = self.model.reply(text, temperature=0, max_tokens=2)
        self.assertEqual((short.stop_reason, short.usage.reply_tokens), (qaio.StopReason.LENGTH, 2))

    def test_turn(self):
        seen = []
        turn = self.model.turn(HAPPY, on_sentiment=seen.append, on_piece=lambda piece: seen.append(piece), **GREEDY)
        self.assertEqual(seen[0], turn.sentiment)
        self.assertEqual("".join(seen[1:]), turn.reply.text)
        with self.assertRaises(ValueError):
            self.model.reply(HAPPY, sentiment=seen[0])

    def test_true_stops(self):
        text = self.talkative()
        turn = self.model.turn(text, on_sentiment=lambda _: True, on_piece=self.fail, **GREEDY)
        self.assertEqual((turn.reply.text, turn.reply.stop_reason), ("", qaio.StopReason.CALLBACK))
        pieces = []
        reply = self.model.reply(text, on_piece=lambda piece: pieces.append(piece) or len(pieces) == 2, **GREEDY)
        self.assertEqual((len(pieces), reply.stop_reason), (2, qaio.StopReason.CALLBACK))

    def test_seed(self):
        replies = {self.model.reply(SAD, temperature=1.5, max_tokens=16, seed=7).text for _ in range(3)}
        self.assertEqual(len(replies), 1)


class Failures(WithModel):
    def test_text(self):
        for call in (self.model.classify_sentiment, self.model.sentiment, self.model.reply, self.model.turn):
            self.fails(qaio.Status.EMPTY_TEXT, call, " \n")
            self.assertIn("offset 4", self.fails(qaio.Status.INVALID_UTF8, call, b"good\xff"))
            self.assertIn("index 3", self.fails(qaio.Status.INVALID_UTF8, call, "abc\ud83d!"))
            for wrong in (None, 7, ["text"]):
                self.assertRaises(TypeError, call, wrong)
        self.fails(qaio.Status.CONTEXT_OVERFLOW, self.model.sentiment, "很长的话。" * 40000)
        self.assertIn(self.model.sentiment("很长的话。" * 40000, truncate=True).label, LABELS)

    def test_options(self):
        unknown = qaio.Status.UNKNOWN_OPTION
        self.assertIn('"temperature"', self.fails(unknown, self.model.reply, HAPPY, temprature=1))
        self.assertIn('"threshold"', self.fails(unknown, self.model.sentiment, HAPPY, treshold=0.7))
        self.assertIn('"threads"', self.fails(unknown, qaio.load, thread=1))
        self.assertIn('"system"', self.fails(unknown, self.model.session, sytem="x"))
        self.fails(qaio.Status.INVALID_OPTION, self.model.reply, HAPPY, max_tokens=0)
        self.fails(qaio.Status.INVALID_OPTION, self.model.reply, HAPPY, stop="not a list")
        self.assertRaises(ValueError, self.model.reply, HAPPY, temperature=float("nan"))
        self.assertRaises(TypeError, self.model.reply, HAPPY, stop={b"bytes"})

    def test_load(self):
        self.assertIn("no/such/model", self.fails(qaio.Status.NOT_FOUND, qaio.load, "no/such/model"))
        self.fails(qaio.Status.NOT_FOUND, qaio.load, pathlib.Path("no/such/model"))
        self.fails(qaio.Status.MODEL_CONFLICT, qaio.load, precision="bf16")
        self.fails(qaio.Status.MODEL_CONFLICT, qaio.load_memory, b"GGUF")
        self.assertRaises(ValueError, qaio.load, "model\0.gguf")

    def test_errors_can_be_pickled(self):
        try:
            self.model.sentiment("")
        except qaio.QaioError as error:
            copy = pickle.loads(pickle.dumps(error))
            self.assertEqual((copy.status, str(copy)), (error.status, str(error)))

    def test_exceptions_in_callbacks_come_out(self):
        def bad(_):
            raise KeyError("mine")

        text = self.talkative()
        for arguments in ({"on_sentiment": bad}, {"on_piece": bad}):
            with self.assertRaisesRegex(KeyError, "mine"):
                self.model.turn(text, **arguments, **GREEDY)
            with self.assertRaisesRegex(KeyError, "mine"), self.model.session() as session:
                session.send(text, **arguments, **GREEDY)
        with self.assertRaisesRegex(KeyError, "mine"):
            self.model.reply(text, on_piece=bad, **GREEDY)

        def interrupt(_):
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, self.model.reply, text, on_piece=interrupt, **GREEDY)

    def test_closed(self):
        model, session, token = qaio.load(), self.model.session(), qaio.CancelToken()
        for owner, call in ((model, model.info), (session, session.reset), (token, token.set)):
            with owner:
                call()
            owner.close()
            self.assertRaisesRegex(ValueError, "closed", call)

    def test_closing_waits_for_a_running_call(self):
        model = qaio.load()
        reply = model.reply(self.talkative(), on_piece=lambda _: model.close(), **GREEDY)
        self.assertIn(reply.stop_reason, (qaio.StopReason.END, qaio.StopReason.LENGTH))
        self.assertRaises(ValueError, model.info)


class Cancelling(WithModel):
    def test_token(self):
        token = qaio.CancelToken()
        token.set()
        self.fails(qaio.Status.CANCELLED, self.model.sentiment, HAPPY, cancel=token)
        self.fails(qaio.Status.CANCELLED, qaio.load, cancel=token)
        token.reset()
        reply = self.model.reply(self.talkative(), on_piece=lambda _: token.set(), cancel=token, **GREEDY)
        self.assertEqual(reply.stop_reason, qaio.StopReason.CANCELLED)

    def test_deadline(self):
        self.fails(qaio.Status.DEADLINE_EXCEEDED, self.model.sentiment, HAPPY, deadline_ms=0)
        self.fails(qaio.Status.DEADLINE_EXCEEDED, qaio.load, deadline_ms=0)


class Streaming(WithModel):
    def test_pieces(self):
        text = self.talkative()

        def collect(stream):
            pieces = []
            while True:
                try:
                    pieces.append(next(stream))
                except StopIteration as end:
                    return pieces, end.value

        pieces, reply = collect(self.model.stream(text, **GREEDY))
        self.assertEqual("".join(pieces), reply.text)
        self.assertEqual(reply.text, self.model.reply(text, **GREEDY).text)
        with self.model.session() as session:
            pieces, turn = collect(session.stream(text, **GREEDY))
            self.assertEqual("".join(pieces), turn.reply.text)
            self.assertEqual(session.history()[1]["content"], turn.reply.text)

    def test_closing_ends_the_reply(self):
        with self.model.session() as session:
            stream = session.stream(self.talkative(), temperature=3, max_tokens=1000000)
            next(stream)
            stream.close()
            self.assertFalse([thread for thread in threading.enumerate() if thread.name == "qaio.stream"])
            self.assertEqual(len(session.history()), 2)  # not busy any more
        for _ in self.model.stream(self.talkative(), temperature=3, max_tokens=1000000):
            break
        gc.collect()
        self.assertFalse([thread for thread in threading.enumerate() if thread.name == "qaio.stream"])

    def test_failures_come_out(self):
        self.assertRaises(qaio.QaioError, self.model.stream, "\ud800")  # at once
        self.fails(qaio.Status.EMPTY_TEXT, next, self.model.stream(" "))
        self.fails(qaio.Status.UNKNOWN_OPTION, next, self.model.stream(HAPPY, max_token=1))


class Sessions(WithModel):
    def test_history(self):
        with self.model.session(system="Answer like a pirate.") as session:
            self.assertEqual(session.history(), [])
            turn = session.send(HAPPY, **GREEDY)
            user, assistant = session.history()
            self.assertEqual((user["role"], user["content"], user["label"]), ("user", HAPPY, turn.sentiment.label))
            self.assertEqual((assistant["role"], assistant["content"]), ("assistant", turn.reply.text))
            with session.fork() as branch:
                branch.send(SAD, **GREEDY)
                self.assertEqual((len(branch.history()), len(session.history())), (4, 2))
            session.reset()
            self.assertEqual(session.history(), [])

    def test_busy(self):
        with self.model.session() as session:
            session.send(HAPPY, on_sentiment=lambda _: self.fails(qaio.Status.BUSY, session.history), **GREEDY)

    def test_outlives_the_model(self):
        model = qaio.load()
        session = model.session()
        model.close()
        session.send(HAPPY, **GREEDY)


class Tasks(WithModel):
    URGENCY = ROOT / "examples" / "python" / "urgency.json"

    def test_shipped(self):
        for name, labels in [("sentiment", ("负面", "正面")), ("intent", ("咨询", "投诉", "闲聊"))]:
            with self.model.task(name) as task:
                self.assertEqual(task.labels, labels)
                found = task.classify("今天好累啊")
                self.assertEqual(found.label, labels[found.index])
                self.assertAlmostEqual(sum(found.probabilities.values()), 1)
                self.assertEqual(found.score, max(found.probabilities.values()))
        self.assertIsNone(self.model.task("intent").classify("嗯", label_mass=False).label_mass)

    def test_definitions(self):
        from_path = self.model.task(self.URGENCY)
        self.assertEqual(from_path.definition["labels"][0]["id"], "urgent")
        for same in (str(self.URGENCY), from_path.definition, self.URGENCY.read_text(encoding="utf-8")):
            self.assertEqual(self.model.task(same).definition, from_path.definition)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "copy.json")
            from_path.save(path)
            self.assertEqual(self.model.task(path).definition, from_path.definition)
        with self.assertRaises(qaio.QaioError) as raised:
            self.model.task({**from_path.definition, "labels": ["紧急"]})
        self.assertEqual(raised.exception.status, qaio.Status.INVALID_TASK)
        self.assertIn("labels", str(raised.exception))
        with self.assertRaises(qaio.QaioError) as raised:
            self.model.task("urgency")
        self.assertEqual(raised.exception.status, qaio.Status.NOT_FOUND)
        with self.assertRaises(FileNotFoundError):
            self.model.task("no/such/file.json")

    def test_batch(self):
        task = self.model.task("sentiment")
        texts = ["今天真好", "", "糟透了", b"\xff"] * 40
        reports = []
        batch = task.classify_batch(texts, progress=lambda done, total: reports.append((done, total)))
        self.assertEqual((len(batch), reports[-1]), (160, (160, 160)))
        self.assertEqual(batch.labels[0], task.classify("今天真好").label)
        self.assertEqual(batch[2].score, task.classify("糟透了").score)
        self.assertEqual(batch.labels[1], None)
        self.assertEqual(batch[-1].status, qaio.Status.INVALID_UTF8)
        self.assertEqual(sorted(batch.errors)[:3], [1, 3, 5])
        self.assertNotEqual(batch.probabilities[1][0], batch.probabilities[1][0], "NaN")
        with self.assertRaises(IndexError):
            batch[160]
        self.assertEqual(len(task.classify_batch([])), 0)
        figures = batch.evaluate(["正面", None, "负面", None] * 40)
        self.assertEqual((figures["rows"], figures["failed"]), (80, 80))
        fitted = batch.fit(["正面", None, "负面", None] * 40)
        self.assertEqual(set(fitted["calibration"]["bias"]), {"positive", "negative"})
        self.model.task(fitted).classify("今天真好")
        with self.assertRaises(ValueError):
            batch.evaluate(["happy"] * 160)

    def test_ending_a_batch(self):
        task = self.model.task("sentiment")
        batch = task.classify_batch(["今天真好"] * 200, progress=lambda done, total: True)
        self.assertIsNotNone(batch.labels[0])
        self.assertEqual(batch[199].status, qaio.Status.CANCELLED)
        with self.assertRaisesRegex(RuntimeError, "mine"):
            task.classify_batch(["今天真好"], progress=self.fail_with(RuntimeError("mine")))

    @staticmethod
    def fail_with(error):
        def raises(*_):
            raise error

        return raises

    def test_csv(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder, "in.csv"), pathlib.Path(folder, "out.csv")
            source.write_text("id,text\n1,着火了快来人\n2,\"有空再说, 不急\"\n3,\n", encoding="utf-8")
            script = ROOT / "examples" / "python" / "classify_csv.py"
            done = subprocess.run(
                [sys.executable, str(script), str(self.URGENCY), str(source), "text", str(target)],
                capture_output=True, text=True, encoding="utf-8", check=True,
            )  # fmt: skip
            self.assertIn("3 of 3", done.stderr)
            self.assertIn("row 3: the text is empty", done.stderr)
            rows = target.read_text(encoding="utf-8").splitlines()
            self.assertEqual((len(rows), rows[0], rows[3]), (4, "id,text,label,score", "3,,,"))

    def test_context(self):
        plain = self.model.reply("几点开门？", max_tokens=1).usage.prompt_tokens
        with_passage = self.model.reply("几点开门？", context=["早上九点开门。"], max_tokens=1).usage.prompt_tokens
        self.assertGreater(with_passage, plain)
        with self.assertRaises(qaio.QaioError):
            self.model.reply("几点开门？", context="早上九点开门。")


class Process(unittest.TestCase):
    """What belongs to the whole process: the one model, threads, forks, how the library is found."""

    def python(self, code, **environment):
        code = "import qaio\n" + code
        environment = {**os.environ, **environment}
        return subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=120)

    def test_one_model(self):
        with qaio.load() as one, qaio.load() as two:
            self.assertEqual(one.info(), two.info())

    def test_files_and_memory(self):
        gc.collect()
        score = None
        for load in (lambda: qaio.load(GGUF), lambda: qaio.load_memory(memoryview(GGUF.read_bytes()))):
            with load() as model:
                score = score or model.classify_sentiment(SAD)
                self.assertEqual(model.classify_sentiment(SAD), score)

    def test_threads(self):
        with qaio.load() as model:
            wanted = [model.classify_sentiment(text) for text in (HAPPY, SAD)]
            results = []

            def work():
                results.extend([model.classify_sentiment(text) for text in (HAPPY, SAD)] == wanted for _ in range(10))

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(results, [True] * 80)

    def test_log(self):
        lines = []
        qaio.log_set(qaio.LogLevel.INFO, lines.append)
        try:
            gc.collect()
            qaio.load().close()
        finally:
            qaio.log_set(qaio.LogLevel.OFF)
        self.assertTrue(any(line.startswith("info: loaded ") for line in lines), lines)

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_fork(self):
        code = """if True:
            import os
            model = qaio.load()
            child = os.fork()
            if child == 0:
                try:
                    model.info()
                except qaio.QaioError as error:
                    os._exit(error.status)
                os._exit(99)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
        result = self.python(code)
        self.assertEqual((result.stdout, result.stderr), (f"{qaio.Status.FORKED.value}\n", ""))

    def test_five_lines(self):
        result = self.python('m = qaio.load()\nprint(m.sentiment("好").line)', PYTHONIOENCODING="utf-8")
        self.assertRegex(result.stdout, "^😄 LLM 情感判断: (正面|负面)\n$")
        self.assertEqual((result.stderr, result.returncode), ("", 0))

    def test_a_reply_can_be_abandoned_at_exit(self):
        code = 'm = qaio.load()\ns = m.stream("hello", max_tokens=50)\nnext(s, None)\nprint("end")'
        result = self.python(code)
        self.assertEqual((result.stdout, result.stderr, result.returncode), ("end\n", "", 0))

    def test_no_library(self):
        result = self.python("", QAIO_LIBRARY="no/such/library.so")
        self.assertIn("ImportError: the qaio library was not found", result.stderr)
        self.assertIn("no/such/library.so", result.stderr)

    def test_wrong_library(self):
        with tempfile.TemporaryDirectory() as directory:
            for abi, message in ((None, "is not qaio"), (2, "with ABI 2")):
                source = pathlib.Path(directory, "fake.c")
                functions = "" if abi is None else "".join(
                    f"int {name}(void) {{ return {abi}; }}\n" for name in _native.FUNCTIONS if name != "qaio_version"
                ) + 'const char *qaio_version(void) { return "9.9.9"; }\n'
                source.write_text(functions + "int other;\n")
                library = pathlib.Path(directory, f"fake{abi}.so")
                subprocess.run(["cc", "-w", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
                result = self.python("", QAIO_LIBRARY=str(library))
                self.assertIn("ImportError", result.stderr)
                self.assertIn(message, result.stderr)


class Meaning(WithModel):
    """What the built-in model must get right: the two messages of the demonstration."""

    def test_demo_messages(self):
        self.assertEqual(self.model.sentiment(HAPPY).line, "😄 LLM 情感判断: 正面")
        self.assertEqual(self.model.sentiment(SAD).line, "😄 LLM 情感判断: 负面")


if __name__ == "__main__":
    unittest.main()
