// A question's way through the API by the generated TypeScript client: upload, file, read, reply, answer, list.
// bin/contract makes `giaidap.d.ts` from openapi.yaml, compiles this against it and runs it against a real server.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./giaidap.js";

type Problem = components["schemas"]["Problem"];

function setting(name: string): string {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
}

function clientOf(token: string) {
  return createClient<paths>({
    baseUrl: setting("ROUNDTRIP_URL"),
    headers: { Authorization: `Bearer ${token}`, "Accept-Language": "en" },
  });
}

/** What the server answered, or an end of the program with its problem. */
function answered<T>(result: { data?: T; error?: unknown; response: Response }): T {
  assert(result.response.ok, `${result.response.status}: ${JSON.stringify(result.error)}`);
  return result.data as T;
}

const ministry = clientOf(setting("ROUNDTRIP_KEY"));
const agent = clientOf(setting("ROUNDTRIP_AGENT"));
// The file first, then its id in the question. What a schema calls a binary string is a Blob on this side.
const upload = answered(
  await ministry.POST("/api/v1/attachments", {
    body: { file: "" },
    bodySerializer: () => {
      const form = new FormData();
      form.append("file", new Blob(["mã gói tin,thời điểm\n"]), "gói tin.csv");
      return form;
    },
  }),
);
assert.equal(upload.media_type, "text/csv");

const question = {
  subject: "Kết nối LGSP với NGSP",
  body: "Đề nghị hướng dẫn cách đăng ký dịch vụ dùng chung.",
  topic: "NGSP",
  requester: { name: "Trần Thị Lan", email: "lan@hue.example" },
  custom_fields: { so_huyen: 9 },
  attachments: [upload.id],
} satisfies components["schemas"]["FileTicket"];

// File it, and again as a program does that lost the answer.
const once = { header: { "Idempotency-Key": randomUUID() } };
const filed = answered(await ministry.POST("/api/v1/tickets", { params: once, body: question }));
const again = await ministry.POST("/api/v1/tickets", { params: once, body: question });
assert.equal(answered(again).number, filed.number);
assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");

const path = { id: filed.number };
const read = await ministry.GET("/api/v1/tickets/{id}", { params: { path } });
const ticket = answered(read);
assert.equal(ticket.state, "queued");
assert.equal(ticket.organisation.code, "H57");
assert.equal(ticket.queue.code, "technology");
assert.deepEqual(ticket.attachments.map((file) => file.name), ["gói tin.csv"]);
assert.equal(ticket.custom_fields["so_huyen"], 9);
const clock = ticket.clocks.find((clock) => clock.target === "first_response");
assert(clock?.due_at && Date.parse(clock.due_at) > Date.parse(ticket.filed_at));

// Unchanged since: 304 without a body.
const etag = read.response.headers.get("ETag");
assert(etag);
const unchanged = await ministry.GET("/api/v1/tickets/{id}", { params: { path, header: { "If-None-Match": etag } } });
assert.equal(unchanged.response.status, 304);

// A word from the asker, then the agent takes the question on what was seen, and answers it.
const word = { body: "Bổ sung: tỉnh đã có LGSP phiên bản 2." };
answered(await ministry.POST("/api/v1/tickets/{id}/messages", { params: { path }, body: word }));
const stale = await agent.POST("/api/v1/tickets/{id}/claim", {
  params: { path, header: { "If-Match": '"0"' } },
  body: {},
});
assert.equal(stale.response.status, 412);
assert.equal((stale.error as Problem).type, "urn:giaidap:problem:precondition-failed");
const claimed = answered(await agent.POST("/api/v1/tickets/{id}/claim", { params: { path }, body: {} }));
assert.equal(claimed.state, "assigned");
const answer = { outcome: "answered" as const, message: "Thực hiện theo hướng dẫn kèm theo." };
answered(await agent.POST("/api/v1/tickets/{id}/resolve", { params: { path }, body: answer }));

// The asker reads the answer, and finds the question in the list.
const messages = answered(await ministry.GET("/api/v1/tickets/{id}/messages", { params: { path } }));
assert(messages.items.some((message) => message.body === answer.message));
const query = { state: ["resolved" as const], limit: 1 };
const page = answered(await ministry.GET("/api/v1/tickets", { params: { query } }));
assert.equal(page.items.length, 1);
assert.equal(page.items[0]?.state, "resolved");

// What is wrong is said by field.
const refused = await ministry.POST("/api/v1/tickets", { body: { ...question, subject: "" } });
assert.equal(refused.response.status, 422);
assert.equal((refused.error as Problem).errors?.[0]?.pointer, "/subject");

console.log(`TypeScript: ${filed.number} filed with a file, read, replied to, resolved, listed`);
