//! Streams of real backends' shapes, event by event.

use serde_json::json;

use super::reassembled::reassembled;
use super::*;

/// vLLM: reasoning, text, parallel calls, the usage after the end.
const CHAT: &str = concat!(
    "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    ": ping\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Let me\",\"reasoning\":\"Let me\"}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hé\\\"\"}}]}\r\n\r\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"another choice\"}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://a.org\",\"title\":\"A\",\"start_index\":1,\"end_index\":6}}]}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t0\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"index\":1,\"id\":\"t1\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"b\\\"\"}}]}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\":2}\"}}]}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\",\"stop_reason\":null}]}\n\n",
    "data: {\"id\":\"chatcmpl-7\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9,\"total_tokens\":109,\"prompt_tokens_details\":{\"cached_tokens\":80},\"completion_tokens_details\":{\"reasoning_tokens\":3}}}\n\n",
    "data: [DONE]\n\n",
);

/// Signed and redacted thinking, a citation, a call without arguments.
const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_7\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm.\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"redacted_thinking\",\"data\":\"Em\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\",\"text\":\"See \"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"text\",\"text\":\"\",\"citations\":[]}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"web_search_result_location\",\"url\":\"https://a.org\",\"title\":\"A\",\"cited_text\":\"x\",\"encrypted_index\":\"e\"}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_delta\",\"text\":\"thére\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":4,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"now\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":4,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":4}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// A summary of reasoning, a refusal, a call whose arguments come only whole, a hosted tool.
const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_7\",\"created_at\":5,\"model\":\"g\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}}\n\n",
    "event: response.reasoning_summary_text.delta\ndata: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"delta\":\"Hm.\"}\n\n",
    "event: response.reasoning_summary_text.done\ndata: {\"type\":\"response.reasoning_summary_text.done\",\"output_index\":0,\"text\":\"Hm.\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"encrypted_content\":\"gAAA\"}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"web_search_call\",\"id\":\"ws_1\"}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"message\",\"id\":\"msg_1\",\"content\":[]}}\n\n",
    "event: response.refusal.delta\ndata: {\"type\":\"response.refusal.delta\",\"output_index\":2,\"delta\":\"I won't.\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"message\",\"id\":\"msg_1\"}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":3,\"item\":{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"\"}}\n\n",
    "event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\",\"output_index\":3,\"arguments\":\"{\\\"a\\\":1}\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":3,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_7\",\"status\":\"completed\",\"model\":\"g\",\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":12}}}\n\n",
);

pub(super) fn sample(backend: Dialect) -> &'static str {
    match backend {
        Dialect::OpenAiChat => CHAT,
        Dialect::OpenAiResponses => RESPONSES,
        Dialect::AnthropicMessages => MESSAGES,
    }
}

#[test]
fn every_direction() {
    for reply in directions() {
        let name = format!("{}_to_{}", reply.backend, reply.client).replace(' ', "_");
        let stream = whole_stream(&reply, sample(reply.backend));
        insta::with_settings!({snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, stream);
        });
        reassembled(reply.client, &stream);
    }
}

#[test]
fn however_the_bytes_are_cut() {
    for reply in directions() {
        let text = sample(reply.backend);
        let expected = whole_stream(&reply, text);
        for at in 0..=text.len() {
            let (one, other) = text.as_bytes().split_at(at);
            assert_eq!(stream(&reply, [one, other]), expected, "{at}");
        }
        assert_eq!(stream(&reply, text.as_bytes().chunks(1)), expected);
    }
}

#[test]
fn a_token_leaves_with_its_event() {
    for reply in directions() {
        let mut translator = reply.stream(7);
        let mut reader = SseReader::new();
        let mut seen = 0;
        for event in sample(reply.backend).split_inclusive("\n\n") {
            let mut out = String::new();
            reader.push(event.as_bytes(), |segment| {
                translator.segment(segment, &mut out)
            });
            for token in ["Let me", "llo", "Hm.", "See ", "thére", "I won't."] {
                // The whole of a text that has come says nothing new.
                if event.contains(".delta\"") && event.contains(token)
                    || event.contains("\"delta\":{") && event.contains(token)
                {
                    assert!(out.contains(token), "{token}: {out}");
                    seen += 1;
                }
            }
        }
        assert!(seen >= 2, "{seen}");
    }
}

#[test]
fn losses_are_told() {
    let losses = |reply: &Reply, text: &str| {
        let mut translator = reply.stream(7);
        let mut out = String::new();
        SseReader::new().push(text.as_bytes(), |segment| {
            translator.segment(segment, &mut out);
        });
        let reasons: Vec<&str> = translator.losses().iter().map(|loss| loss.reason).collect();
        reasons.join(" ")
    };
    for reply in directions() {
        let expected = match reply.backend {
            Dialect::OpenAiChat => "additional_choice_dropped",
            Dialect::OpenAiResponses => "thinking_signature_dropped unsupported_block_type",
            Dialect::AnthropicMessages => "thinking_signature_dropped unsupported_block_type",
        };
        assert_eq!(losses(&reply, sample(reply.backend)), expected);
    }
}

#[test]
fn usage_counts_what_was_cached() {
    let to_chat = reply(Dialect::AnthropicMessages, Dialect::OpenAiChat);
    let chat = reassembled(Dialect::OpenAiChat, &whole_stream(&to_chat, MESSAGES));
    assert_eq!(chat["usage"]["prompt_tokens"], 100);
    assert_eq!(chat["usage"]["prompt_tokens_details"]["cached_tokens"], 90);
    assert_eq!(chat["usage"]["total_tokens"], 105);

    let to_messages = reply(Dialect::OpenAiChat, Dialect::AnthropicMessages);
    let message = whole_stream(&to_messages, CHAT);
    let message = reassembled(Dialect::AnthropicMessages, &message);
    assert_eq!(message["usage"]["input_tokens"], 20);
    assert_eq!(message["usage"]["cache_read_input_tokens"], 80);
    assert_eq!(message["usage"]["output_tokens"], 9);

    let silent = Reply {
        wants_usage: false,
        ..to_chat
    };
    assert!(!whole_stream(&silent, MESSAGES).contains("usage"));
}

#[test]
fn calls_without_an_id_or_a_number() {
    let text = data(&[
        r#"{"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{\"a\":1}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"g","arguments":""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    let reply = reply(Dialect::OpenAiChat, Dialect::AnthropicMessages);
    let message = reassembled(reply.client, &whole_stream(&reply, &text));
    let expected = json!([
        {"type": "tool_use", "id": "call_x_1", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"a": 1}},
        {"type": "tool_use", "id": "c", "name": "g", "input": {}},
    ]);
    assert_eq!(message["content"], expected);
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn reasons_to_stop() {
    let chat = |reason: &str| {
        data(&[&format!(
            r#"{{"id":"x","choices":[{{"index":0,"delta":{{"content":"a"}},"finish_reason":"{reason}","stop_reason":"END"}}]}}"#
        )])
    };
    let cases = [
        ("stop", "stop_sequence", "completed"),
        ("length", "max_tokens", "incomplete"),
        ("content_filter", "refusal", "incomplete"),
        ("odd", "stop_sequence", "completed"),
    ];
    for (reason, message, response) in cases {
        let text = chat(reason);
        let to = |client| {
            let reply = reply(Dialect::OpenAiChat, client);
            reassembled(client, &whole_stream(&reply, &text))
        };
        let found = to(Dialect::AnthropicMessages);
        assert_eq!(found["stop_reason"], message, "{reason}");
        let at = &found["stop_sequence"];
        assert_eq!(at == "END", message == "stop_sequence", "{reason}");
        assert_eq!(to(Dialect::OpenAiResponses)["status"], response, "{reason}");
    }
}
