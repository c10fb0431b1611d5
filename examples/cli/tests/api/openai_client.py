"""The official client of OpenAI against a running server.

    python examples/cli/tests/api/openai_client.py http://127.0.0.1:8080/
"""

from __future__ import annotations

import math
import sys

import openai

GOOD = {"role": "user", "content": "终于把bug修完了，感觉整个人都轻松了！"}


def main() -> None:
    """Whole answers, streams, labels, and what is refused."""
    client = openai.OpenAI(base_url=sys.argv[1].rstrip("/") + "/v1", api_key="none", max_retries=0)
    models = [model.id for model in client.models.list()]
    name = models[0]
    assert f"{name}:sentiment" in models, models

    whole = client.chat.completions.create(model=name, messages=[GOOD], seed=1, max_tokens=40, stop=["#"])
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

    stream = client.chat.completions.create(
        model=name, messages=[GOOD], seed=1, max_tokens=40, stop=["#"], stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(pieces) == text, (pieces, text)
    assert chunks[-1].usage == whole.usage or chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert [c.finish_reason for chunk in chunks for c in chunk.choices][-1] == whole.choices[0].finish_reason

    label = client.chat.completions.create(model=f"{name}:sentiment", messages=[GOOD], logprobs=True, top_logprobs=2)
    found = label.choices[0].logprobs.content[0].top_logprobs
    assert label.choices[0].message.content == found[0].token
    assert abs(sum(math.exp(one.logprob) for one in found) - 1) < 1e-6

    history = [GOOD, {"role": "assistant", "content": text}, {"role": "user", "content": [{"type": "text", "text": "谢谢！"}]}]
    assert client.chat.completions.create(model=name, messages=history, max_tokens=20).choices[0].message.content

    for wrong, error in (
        ({"model": "gpt-4o"}, openai.NotFoundError),
        ({"temperature": 99}, openai.BadRequestError),
        ({"messages": []}, openai.BadRequestError),
        ({"logprobs": True}, openai.BadRequestError),
    ):
        try:
            client.chat.completions.create(**{"model": name, "messages": [GOOD], **wrong})
        except error as refused:
            assert refused.body and refused.body["message"], refused
        else:
            raise AssertionError(f"{wrong} was accepted")
    print(f"the OpenAI client {openai.__version__} is content: {text}")


if __name__ == "__main__":
    main()
