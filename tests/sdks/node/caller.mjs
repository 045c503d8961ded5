// Calls the SDK as it is told: a JSON line in, a JSON line out.
//
// In: {"path": "emails.send", "args": [...]}; {"$buffer": BASE64} becomes a Buffer,
// {"$bytes": BASE64} a Uint8Array. Out: {"result": ...} or {"thrown": "..."}.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/");
const { Resend } = require("resend");

const revived = (_name, value) => {
  if (value && typeof value.$buffer === "string") {
    return Buffer.from(value.$buffer, "base64");
  }
  if (value && typeof value.$bytes === "string") {
    return new Uint8Array(Buffer.from(value.$bytes, "base64"));
  }
  return value;
};

// The address and the key are the SDK's own settings: RESEND_BASE_URL, RESEND_API_KEY.
const own = new Resend();

for await (const line of createInterface({ input: process.stdin })) {
  const { path, args, key } = JSON.parse(line, revived);
  let owner = key === undefined ? own : new Resend(key);
  const names = path.split(".");
  const verb = names.pop();
  for (const name of names) owner = owner[name];
  let answer;
  try {
    answer = { result: await owner[verb](...args) };
  } catch (error) {
    answer = { thrown: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
