// Counts the tokens of each text on standard input, a JSON object, by each tokenizer that
// carries its own data. Claude's is that of older models; newer ones differ a little.

import { readFileSync } from "node:fs";
import { load } from "../adapters/modules.mjs";

const { countTokens } = await load("npm-2", "@anthropic-ai/tokenizer");
const tokenizers = { claude_older: countTokens };
for (const encoding of ["o200k_base", "cl100k_base"]) {
  const { encode } = await load("npm-2", `gpt-tokenizer/encoding/${encoding}`);
  tokenizers[encoding] = (text) => encode(text).length;
}
const texts = JSON.parse(readFileSync(0, "utf8"));
const counts = {};
for (const [name, text] of Object.entries(texts)) {
  counts[name] = {};
  for (const [tokenizer, count] of Object.entries(tokenizers)) {
    counts[name][tokenizer] = count(text);
  }
}
process.stdout.write(JSON.stringify(counts));
