// What people paste elsewhere: a command, a probe, a client's set-up.

/** A word that a shell reads as it stands. */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The command that asks this Merit to evaluate a request. */
export function evalCommand(request, origin, hasToken) {
  const token = hasToken ? ` \\\n  -H "Authorization: Bearer $MERIT_TOKEN"` : "";
  return `curl -s ${quoted(`${origin}/api/v1/eval?trace=true`)}${token} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(request))}\n`;
}

/** A probe that expects what the evaluation said. JSON is YAML, so the file needs no other care. */
export function probe(request, answer) {
  const expect = answer.refused
    ? { refused: answer.refused.by }
    : { decision: answer.decision_result?.decision_name ?? "", model: answer.selected_model ?? "" };
  const name = (answer.original_text ?? "").replace(/\s+/g, " ").slice(0, 60) || "a request";
  const said = typeof request.text === "string" && Object.keys(request).length === 1
    ? `  text: ${JSON.stringify(request.text)}`
    : `  request: ${JSON.stringify(withMessages(request))}`;
  return `- name: ${JSON.stringify(name)}\n${said}\n  expect: ${JSON.stringify(expect)}\n`;
}

/** A probe holds a whole request where it says more than a text. */
function withMessages(request) {
  if (typeof request.text !== "string") return request;
  const { text, ...rest } = request;
  return { ...rest, messages: [{ role: "user", content: text }] };
}

/** Set-ups of clients, for a gateway at `base` and a model that clients may name. */
export function clients(base, model, key) {
  return [
    { title: "curl", language: "shell", text: `curl ${base}/v1/chat/completions \\\n  -H 'Authorization: Bearer ${key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'` },
    { title: "OpenAI SDK (Python)", language: "Python", text: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nanswer = client.chat.completions.create(\n    model="${model}",\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.model, answer.choices[0].message.content)` },
    { title: "OpenAI SDK (TypeScript)", language: "TypeScript", text: `import OpenAI from 'openai';\n\nconst client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${key}" });\nconst answer = await client.responses.create({ model: "${model}", input: "Hello" });\nconsole.log(answer.model, answer.output_text);` },
    { title: "Anthropic SDK (Python)", language: "Python", text: `from anthropic import Anthropic\n\nclient = Anthropic(base_url="${base}", api_key="${key}")\nanswer = client.messages.create(\n    model="${model}", max_tokens=512,\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.model, answer.content[0].text)` },
    { title: "Claude Code", language: "shell", text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_AUTH_TOKEN=${key}\nexport ANTHROPIC_MODEL=${model}\nexport ANTHROPIC_SMALL_FAST_MODEL=${model}\nclaude` },
    { title: "Codex", language: "~/.codex/config.toml", text: `model = "${model}"\nmodel_provider = "merit"\n\n[model_providers.merit]\nname = "Merit"\nbase_url = "${base}/v1"\nenv_key = "MERIT_GATEWAY_KEY"\nwire_api = "responses"` },
  ];
}
