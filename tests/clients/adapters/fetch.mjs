// A program that posts JSON with plain `fetch`, as many do who have no SDK: it sends no
// `initialize`, and `Accept: */*`. It can also send whatever a scenario asks for.

import { contentResult, plainTools, serve } from "./serving.mjs";

class PlainFetch {
  next = 1;

  async opened(target) {
    this.target = target;
    return { name: null, version: null };
  }

  async closed() {}

  async ask(method, params, signal) {
    const headers = { "content-type": "application/json", ...this.target.headers };
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.next++, method, params });
    const response = await fetch(this.target.url, { method: "POST", headers, body, signal });
    const text = await response.text();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      throw new Error(`HTTP ${response.status}: ${text}`);
    }
    if (message.error) {
      throw Object.assign(new Error(message.error.message), message.error);
    }
    return message.result;
  }

  async list_tools() {
    return plainTools((await this.ask("tools/list", {})).tools);
  }

  async call(name, args, meta, signal) {
    const params = { name, arguments: args };
    if (meta) params._meta = meta;
    return contentResult(await this.ask("tools/call", params, signal));
  }

  async list_prompts() {
    return (await this.ask("prompts/list", {})).prompts;
  }

  async get_prompt(name, args) {
    return await this.ask("prompts/get", { name, arguments: args });
  }

  async list_resources() {
    return (await this.ask("resources/list", {})).resources;
  }

  async list_templates() {
    return (await this.ask("resources/templates/list", {})).resourceTemplates;
  }

  async read_resource(uri) {
    const { contents } = await this.ask("resources/read", { uri });
    return contents.map((content) => content.text).join("\n");
  }

  // Any request, and all that comes back.
  async send(method, headers, body) {
    const init = { method, headers: { ...this.target.headers, ...headers } };
    if (body !== null) init.body = JSON.stringify(body);
    const response = await fetch(this.target.url, init);
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  }
}

serve(() => new PlainFetch());
