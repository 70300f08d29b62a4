// Prints one answer: its text to stdout as it comes, all else to stderr. generate() is what to copy into a service.
import { credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { detailsOf } from "./errors.js";
import * as sauron from "./generated/sauron/v1/generation_service.js";

const channelOptions = {
  // gRPC itself tries again what was refused before headers: a full queue, a drain. It heeds the server's
  // grpc-retry-pushback-ms. After headers it never retries: part of the answer may have been read already and would
  // come a second time. There generate() goes on, at the right event.
  "grpc.service_config": JSON.stringify({ methodConfig: [{
    name: [{ service: "sauron.v1.GenerationService" }],
    retryPolicy: { maxAttempts: 5, initialBackoff: "0.2s", maxBackoff: "5s", backoffMultiplier: 2,
      retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"] },
  }] }),
  "grpc.initial_reconnect_backoff_ms": 100, // the default, a second and more, is long in mid-sentence
  "grpc.max_reconnect_backoff_ms": 2_000,
  "grpc.keepalive_time_ms": 12_000, // notices a connection that died without a word; the server allows one ping in 10 s
  "grpc.keepalive_timeout_ms": 5_000,
};
const lostCodes = [status.UNAVAILABLE, status.INTERNAL, status.UNKNOWN, status.CANCELLED, status.ABORTED];
const budget = 30_000; // ms to go on trying without more of the answer

/** Yields the answer's events, each once and in order, over as many connections as it takes. The last is Finished. */
async function* generate(client: sauron.GenerationServiceClient, request: sauron.GenerateRequest, signal: AbortSignal) {
  let generationId = "", afterSequence = 0n; // the last event that we have
  let answered = false; // some of the answer was handed on, and can't be taken back
  for (let failures = 0, failingSince = 0; ; failures++) {
    signal.throwIfAborted();
    // The request is sent whole each time. Before Started its id is enough to find again what it began.
    const call = client.generate({ ...request, resume: generationId ? { generationId, afterSequence } : undefined });
    const hangUp = () => call.cancel();
    signal.addEventListener("abort", hangUp);
    let finished = false, served = "", failure: ServiceError | undefined;
    try {
      for await (const { events } of call as AsyncIterable<sauron.GenerateResponse>) {
        for (const event of events) {
          if (event.kind?.$case === "started") served = event.kind.value.generationId;
          generationId ||= served;
          if (event.kind?.$case === "finished") finished = true;
          if (event.sequence > 0n) { // 0: an event of this stream alone
            if (served !== generationId) throw new Error("another generation came"); // two answers are never mixed
            if (event.sequence <= afterSequence) continue; // we have it already
            afterSequence = event.sequence;
            if (event.kind?.$case !== "stageChanged") {
              answered = true;
              failures = failingSince = 0;
            }
          }
          yield event;
        }
      }
    } catch (error) {
      failure = error as ServiceError;
    } finally {
      signal.removeEventListener("abort", hangUp);
      hangUp(); // for a caller that leaves the loop early; a call that has ended doesn't mind
    }
    if (finished) return;
    signal.throwIfAborted();
    failure ??= Object.assign(new Error("the stream ended without Finished"), { code: status.UNKNOWN }) as ServiceError;
    const { reason, retryAfter } = detailsOf(failure);
    const lost = reason ? ["DRAINING", "SLOW_CONSUMER"].includes(reason) : lostCodes.includes(failure.code);
    // From the top again only while no answer was handed on: another generation's text may differ.
    const afresh = !lost && !answered && (reason === "GENERATION_GONE" || retryAfter !== undefined);
    if (afresh) [generationId, afterSequence] = ["", 0n];
    failingSince ||= Date.now();
    const wait = (retryAfter ?? 0) + Math.random() * Math.min(2_000, 100 * 2 ** failures);
    if (!(lost || afresh) || Date.now() + wait > failingSince + budget) throw failure;
    console.error(`${failure.message}; trying again from event ${afterSequence + 1n}`);
    await sleep(wait, undefined, { signal });
  }
}

const { values: flags, positionals: [content] } = parseArgs({ allowPositionals: true, options: {
  address: { type: "string", default: "127.0.0.1:50051" },
  model: { type: "string", default: "default" },
  "request-id": { type: "string", default: randomUUID() },
  "cancel-after": { type: "string" }, // seconds
} });
if (content === undefined) {
  console.error("usage: client.js [--address HOST:PORT] [--model M] [--request-id ID] [--cancel-after SECONDS] TEXT");
  process.exit(2);
}
const { model, "request-id": requestId } = flags;
const client = new sauron.GenerationServiceClient(flags.address, credentials.createInsecure(), channelOptions);

// Cancels by id, from any task. The stream then ends by itself, with OUTCOME_CANCELLED and status OK.
const leave = new AbortController();
const cancel = () => client.cancel({ requestId }, new Metadata(), { deadline: Date.now() + 5_000 }, (error) => {
  if (error) leave.abort(error); // not known there, or the server is out of reach
});
process.once("SIGINT", cancel);
if (flags["cancel-after"]) setTimeout(cancel, Number(flags["cancel-after"]) * 1_000).unref();

let printed = false;
try {
  const messages = [{ role: sauron.Role.ROLE_USER, content }];
  const request = sauron.GenerateRequest.fromPartial({ requestId, model, messages });
  for await (const { kind } of generate(client, request, leave.signal)) {
    if (kind?.$case === "textDelta") {
      printed = true;
      if (!process.stdout.write(kind.value)) await once(process.stdout, "drain");
    } else if (kind?.$case === "finished") {
      process.exitCode = kind.value.outcome === sauron.Outcome.OUTCOME_CANCELLED ? 130 : 0;
      console.error(`\n${sauron.Outcome[kind.value.outcome]}`);
    }
  }
} catch (caught) {
  const error = (leave.signal.aborted ? leave.signal.reason : caught) as ServiceError;
  const { reason, retryAfter, violations } = detailsOf(error);
  console.error(`\n${error.message}${printed ? " (the text is not whole)" : ""}`);
  if (reason) console.error(`reason: ${reason}`);
  if (retryAfter !== undefined) console.error(`retry after: ${retryAfter} ms`);
  for (const { field, description } of violations) console.error(`${field}: ${description}`);
  process.exitCode = leave.signal.aborted ? 130 : 1;
}
client.close();
