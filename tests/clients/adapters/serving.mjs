// The side of a JavaScript adapter that talks to the matrix; serving.py says how. A
// connection is an object with `opened(target)`, `closed()` and the methods of the client,
// of which each may be left out.

import { createInterface } from "node:readline";

const held = new Map();

// What the client's user sees of an error that is thrown.
function raised(error) {
  let text = `${error?.name ?? "Error"}: ${error?.message ?? error}`;
  for (let cause = error?.cause; cause; cause = cause.cause) text += `; ${cause.message ?? cause}`;
  return { raised: text, rpc_code: error?.code, data: error?.data };
}

// What a client gives its user for a call.
export function contentResult(result) {
  const texts = result.content.filter((item) => item.type === "text").map((item) => item.text);
  return {
    text: texts.join("\n"),
    structured: result.structuredContent ?? null,
    is_error: result.isError ?? false,
  };
}

export async function allPages(fetch, items) {
  const found = [];
  let cursor;
  do {
    const page = await fetch(cursor ? { cursor } : undefined);
    found.push(...items(page));
    cursor = page.nextCursor;
  } while (cursor);
  return found;
}

export function plainTools(tools) {
  return tools.map((tool) => ({
    name: tool.name,
    description: tool.description,
    schema: tool.inputSchema,
  }));
}

async function carryOut(request, newConnection) {
  const { op, connection: name = "main" } = request;
  if (op === "connect") {
    const connection = newConnection();
    held.set(name, { connection, calls: new Map() });
    return { value: await connection.opened(request.target) };
  }
  const { connection, calls } = held.get(name);
  if (op === "close") {
    held.delete(name);
    await connection.closed();
    return { value: null };
  }
  if (op === "cancel") {
    calls.get(request.call)?.abort("abandoned");
    return { value: null };
  }
  if (op === "call") {
    const abort = new AbortController();
    calls.set(request.id, abort);
    try {
      const { tool, arguments: args, meta } = request;
      return { value: await connection.call(tool, args, meta, abort.signal) };
    } finally {
      calls.delete(request.id);
    }
  }
  if (!connection[op]) return { unsupported: op };
  return { value: (await connection[op](...(request.parameters ?? []))) ?? null };
}

export function serve(newConnection) {
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on("line", async (line) => {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = await carryOut(request, newConnection);
    } catch (error) {
      answer = raised(error);
    }
    process.stdout.write(JSON.stringify({ id: request.id, ...answer }) + "\n");
  });
  lines.on("close", async () => {
    const closing = [...held.values()].map(({ connection }) => connection.closed().catch(() => {}));
    await Promise.race([Promise.all(closing), new Promise((done) => setTimeout(done, 5000))]);
    process.exit(0);
  });
  // A client may leave a promise of its own behind when it is cancelled or its server dies.
  process.on("unhandledRejection", (error) => console.error("unhandled:", error));
}
