// Writes the schema of a running server to schema.json: GUIDON_URL=https://guidon.example.com npm run fetch
import { writeFile } from "node:fs/promises";

const url = new URL("/api/v1/schema/?format=json", process.env.GUIDON_URL ?? "http://127.0.0.1:8000");
const answer = await fetch(url);
if (!answer.ok) {
  throw new Error(`${url}: ${answer.status}`);
}
await writeFile("schema.json", await answer.text());
