// Creates a segment, meets a conflict, confirms, adds a member: with the generated client.
//     node built/story.js URL KEY USER
// Prints one JSON value for each step.
import { server } from "./request.js";
import {
  contextsRetrieve,
  segmentsCreate,
  segmentsExplain,
  segmentsMembersCreate,
  segmentsMembersList,
  segmentsPartialUpdate,
} from "./src/guidon.js";
import type { PatchedSegmentUpdateRequest } from "./src/guidon.schemas.js";

const [url, key, user] = process.argv.slice(2) as [string, string, string];
server.url = url;
server.key = key;

const show = (...values: unknown[]) => console.log(JSON.stringify(values));
const fail = (answer: { status: number; data: unknown }): never => {
  throw new Error(`${answer.status}: ${JSON.stringify(answer.data)}`);
};

const made = await segmentsCreate({ key: "paying", name: "Paying" });
if (made.status !== 201) throw fail(made);
show("create", made.status, made.data.version, made.headers.get("ETag"));

const again = await segmentsCreate({ key: "paying", name: "Paying" });
if (again.status !== 400) throw fail(again);
show("invalid", again.status, again.data.type);

const change: PatchedSegmentUpdateRequest = {
  rules: [{ clauses: [{ attribute: "role", op: "in", values: ["user", "admin"] }] }],
  note: "Everybody",
};
const stopped = await segmentsPartialUpdate("paying", change);
if (stopped.status !== 409 || !("confirm" in stopped.data)) throw fail(stopped);
const asked = stopped.data;
show("confirmation", stopped.status, asked.entering.at_least, asked.leaving.at_least);

if (asked.confirm === null) throw fail(stopped);
const written = await segmentsPartialUpdate("paying", { ...change, confirm: asked.confirm });
if (written.status !== 200) throw fail(written);
show("confirmed", written.status, written.data.version);

const refused = await segmentsPartialUpdate("paying", { name: "Payers" }, { headers: { "If-Match": '"1"' } });
if (refused.status !== 412) throw fail(refused);
show("conflict", refused.status, refused.data.changed[0]?.note);

const added = await segmentsMembersCreate("paying", {
  user,
  kind: "exclude",
  reason: "Asked for it",
  confirm: true,
});
if (added.status !== 201) throw fail(added);
const members = await segmentsMembersList("paying");
if (members.status !== 200) throw fail(members);
show("members", added.status, members.data.results.map((one) => one.user));

const explained = await segmentsExplain("paying", { subject: user });
if (explained.status !== 200) throw fail(explained);
const context = await contextsRetrieve("user", user);
if (context.status !== 200) throw fail(context);
show(
  "explain",
  explained.data.decided_by,
  explained.data.verdict,
  context.data.segments.includes("paying"),
);
