"""What users of the openai and anthropic SDKs see through Envoy and Merit. Run by sdk.rs: sdk_client.py SDK BASE_URL."""

import sys

CODE = [{"role": "user", "content": "Please refactor this"}]
HELLO = [{"role": "user", "content": "Hello there"}]
BLOCKED = [{"role": "user", "content": "a forbidden topic"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
BLOCKED_TEXT = "This topic is not answered here."


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def raises(kind, call):
    try:
        call()
    except kind as error:
        equal(type(error), kind)
        return error
    raise AssertionError(f"no {kind.__name__}")


def large(pieces=4):
    return "".join(f"{n} from large. " for n in range(1, pieces + 1))


def openai_chat(client):
    answer = client.chat.completions.create(model="auto", messages=CODE)
    equal((answer.model, answer.choices[0].message.content), ("large-70b", large()))
    equal(answer.usage.prompt_tokens_details.cached_tokens, 7)
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    equal((raw.headers["x-vsr-selected-model"], raw.parse().model), ("small", "small-1b"))
    stream = client.chat.completions.create(
        model="auto", messages=CODE, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), large())
    equal(chunks[-1].usage.prompt_tokens_details.cached_tokens, 7)


def openai_tools(client):
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    answer = client.chat.completions.create(model="auto", messages=CODE, tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    equal((call.function.name, call.function.arguments), ("get_weather", '{"city":"Rome"}'))
    messages = CODE + [
        answer.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "21C"},
    ]
    answer = client.chat.completions.create(model="auto", messages=messages, tools=tools)
    equal(answer.choices[0].message.content, large())


def openai_responses(client):
    answer = client.responses.create(model="auto", input="Please refactor this")
    equal((answer.model, answer.output_text), ("large-70b", large()))
    events = list(client.responses.create(model="auto", input=CODE, stream=True))
    equal("".join(e.delta for e in events if e.type == "response.output_text.delta"), large())
    equal(events[-1].type, "response.completed")


def openai_blocked(client):
    answer = client.chat.completions.create(model="auto", messages=BLOCKED)
    equal(answer.choices[0].message.content, BLOCKED_TEXT)
    stream = client.chat.completions.create(model="auto", messages=BLOCKED, stream=True)
    equal("".join(c.choices[0].delta.content or "" for c in stream), BLOCKED_TEXT)


def openai_errors(client, sdk):
    create = client.chat.completions.create
    error = raises(sdk.NotFoundError, lambda: create(model="no-such", messages=HELLO))
    assert "no-such" in error.message, error.message
    equal(error.type, "invalid_request_error")
    raises(sdk.BadRequestError, lambda: create(model="auto", messages=HELLO, extra_body={"stream": "yes"}))
    raises(sdk.NotFoundError, lambda: client.post("/v1/chat/completions", cast_to=object, body={"model": "auto"}))
    limited = {"x-script-status": "429"}
    raises(sdk.RateLimitError, lambda: create(model="auto", messages=HELLO, extra_headers=limited))
    names = [model.id for model in client.models.list()]
    assert "auto" in names, names


def openai_escalated(client):
    weak = {"x-script-small-margin": "1.2", "x-script-large-margin": "2.5"}
    answer = client.chat.completions.with_raw_response.create(model="auto", messages=HELLO, extra_headers=weak)
    equal(answer.headers["x-vsr-looper-models-used"], "small,large")
    answer = answer.parse()
    equal((answer.model, answer.choices[0].message.content), ("large", large()))
    equal((answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens), (22, 8, 30))
    stream = client.chat.completions.create(
        model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}, extra_headers=weak)
    chunks = list(stream)
    equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), large())
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal(chunks[-2].choices[0].finish_reason, "stop")
    equal(chunks[-1].usage.total_tokens, 30)
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    stream = client.chat.completions.create(model="auto", messages=HELLO, tools=tools, stream=True, extra_headers=weak)
    calls = [call for c in stream for call in c.choices[0].delta.tool_calls or []]
    equal((calls[0].function.name, calls[0].function.arguments), ("get_weather", '{"city":"Rome"}'))


def openai_escalation_errors(client, sdk):
    broken = {"x-script-status": "500"}
    create = client.chat.completions.create
    error = raises(sdk.InternalServerError, lambda: create(model="auto", messages=HELLO, extra_headers=broken))
    equal((error.status_code, error.message.endswith("scripted'}}") or "scripted" in error.message), (500, True))


def anthropic_messages(client):
    answer = client.messages.create(model="auto", max_tokens=64, messages=CODE)
    equal((answer.model, answer.content[0].text), ("large-70b", large()))
    equal(answer.usage.cache_read_input_tokens, 7)
    with client.messages.stream(model="auto", max_tokens=64, messages=CODE) as stream:
        equal("".join(stream.text_stream), large())
        equal(stream.get_final_message().stop_reason, "end_turn")


def anthropic_tools(client):
    tools = [{"name": "get_weather", "input_schema": SCHEMA}]
    answer = client.messages.create(model="auto", max_tokens=64, messages=CODE, tools=tools)
    use = answer.content[0]
    equal((use.name, use.input), ("get_weather", {"city": "Rome"}))
    with client.messages.stream(model="auto", max_tokens=64, messages=CODE, tools=tools) as stream:
        equal(stream.get_final_message().content[0].input, {"city": "Rome"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "21C"}
    messages = CODE + [{"role": "assistant", "content": [use.model_dump()]}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model="auto", max_tokens=64, messages=messages, tools=tools)
    equal(answer.content[0].type, "text")


def anthropic_blocked(client):
    answer = client.messages.create(model="auto", max_tokens=64, messages=BLOCKED)
    equal(answer.content[0].text, BLOCKED_TEXT)
    with client.messages.stream(model="auto", max_tokens=64, messages=BLOCKED) as stream:
        equal("".join(stream.text_stream), BLOCKED_TEXT)


def anthropic_errors(client, sdk):
    create = client.messages.create
    error = raises(sdk.NotFoundError, lambda: create(model="no-such", max_tokens=1, messages=HELLO))
    assert "no-such" in str(error), error
    equal(error.body["type"], "error")
    limited = {"x-script-status": "429"}
    raises(sdk.RateLimitError, lambda: create(model="auto", max_tokens=1, messages=HELLO, extra_headers=limited))
    names = [model.id for model in client.models.list()]
    assert "auto" in names, names


def main():
    name, base = sys.argv[1:]
    if name == "openai":
        import openai as sdk

        client = sdk.OpenAI(base_url=f"{base}/v1", api_key="test", max_retries=0, timeout=20)
        for case in (openai_chat, openai_tools, openai_responses, openai_blocked):
            case(client)
        openai_errors(client, sdk)
    elif name == "escalation":
        import openai as sdk

        client = sdk.OpenAI(base_url=f"{base}/v1", api_key="test", max_retries=0, timeout=20)
        openai_escalated(client)
        openai_escalation_errors(client, sdk)
    else:
        import anthropic as sdk

        client = sdk.Anthropic(base_url=base, api_key="test", max_retries=0, timeout=20)
        for case in (anthropic_messages, anthropic_tools, anthropic_blocked):
            case(client)
        anthropic_errors(client, sdk)


main()
