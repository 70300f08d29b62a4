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
  "grpc.service_config": `{"methodConfig": [{"name": [{"service": "sauron.v1.GenerationService"}], "retryPolicy": {
    "maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}`,
  "grpc.per_rpc_retry_buffer_size": 4 << 20, // gRPC retries nothing larger; the server takes 4 MiB
  "grpc.initial_reconnect_backoff_ms": 100, // the default, a second and more, is long in mid-sentence
  "grpc.max_reconnect_backoff_ms": 2_000,
  "grpc.keepalive_time_ms": 12_000, // notices a connection that died without a word; the server allows one ping in 10 s
  "grpc.keepalive_timeout_ms": 5_000,
};
const lostCodes = [status.UNAVAILABLE, status.INTERNAL, status.UNKNOWN, status.CANCELLED, status.ABORTED];
const budget = 30_000; // ms to go on trying without more of the answer

/** Cancels by id, from any task or process: the stream then ends by itself, with OUTCOME_CANCELLED and status OK. */
async function cancel(client: sauron.GenerationServiceClient, requestId: string, again = true): Promise<void> {
  const error = await new Promise<ServiceError | null>((done) =>
    client.cancel({ requestId }, new Metadata(), { deadline: Date.now() + 5_000 }, done));
  if (!error) return;
  if (!again || error.code !== status.NOT_FOUND) throw error;
  await sleep(1_000); // its Generate may be on the way
  await cancel(client, requestId, false);
}

/** Yields the answer's events, each once and in order, over as many connections as it takes. The last is Finished;
 *  to leave the loop before that, or to abort, cancels the request. */
async function* generate(client: sauron.GenerationServiceClient, request: sauron.GenerateRequest, signal: AbortSignal) {
  const requestId = request.requestId || randomUUID();
  let resume = request.resume && { ...request.resume }; // after the last event that we have
  let answered = resume !== undefined; // some of the answer was handed on, and can't be taken back
  for (let failures = 0, failingSince = 0; ; failures++) {
    signal.throwIfAborted();
    // The request is sent whole each time. Before Started its id is enough to find again what it began.
    const call = client.generate({ ...request, requestId, resume });
    let cancelling: Promise<void> | undefined; // once is enough
    const leave = () => cancelling ??= cancel(client, requestId).catch(({ message }) => {
      console.error(`not cancelled: ${message}`); // not known there, or the server is out of reach
      call.cancel();
    });
    signal.addEventListener("abort", leave);
    let finished = false, left = false, served = "", since = Infinity, failure: ServiceError | undefined;
    try {
      for await (const { events } of call as AsyncIterable<sauron.GenerateResponse>) {
        for (const event of events) {
          if (event.kind?.$case === "started") {
            [served, since] = [event.kind.value.generationId, Date.now()];
            resume ??= { generationId: served, afterSequence: 0n };
          }
          if (event.kind?.$case === "finished") finished = true;
          if (event.sequence > 0n) { // 0: an event of this stream alone
            if (served !== resume?.generationId) throw new Error("another generation came"); // two answers never mix
            if (event.sequence <= resume.afterSequence && !finished) continue; // we have it already
            resume.afterSequence = event.sequence;
            if (event.kind?.$case !== "stageChanged") {
              answered = true;
              failures = failingSince = 0;
            }
          }
          left = !finished; // unless the caller comes back for more
          yield event;
          left = false;
        }
      }
    } catch (error) {
      failure = error as ServiceError;
    } finally {
      signal.removeEventListener("abort", leave);
      if (left || signal.aborted) await leave();
      call.cancel(); // one that has ended doesn't mind
    }
    if (finished) return;
    signal.throwIfAborted();
    failure ??= Object.assign(new Error("the stream ended without Finished"), { code: status.UNKNOWN }) as ServiceError;
    const { reason, retryAfter } = detailsOf(failure);
    const lost = reason ? ["DRAINING", "SLOW_CONSUMER"].includes(reason) : lostCodes.includes(failure.code);
    // From the top again only while no answer was handed on: another generation's text may differ.
    const afresh = !lost && !answered && (reason === "GENERATION_GONE" || retryAfter !== undefined);
    if (afresh) resume = undefined;
    if (lost && Date.now() - since > 2_000) failures = failingSince = 0; // not in vain: the model takes its time
    failingSince ||= Date.now();
    const wait = (retryAfter ?? 0) + Math.min(2_000, 100 * 2 ** failures) * (0.5 + Math.random());
    if (!(lost || afresh) || Date.now() + wait > failingSince + budget) throw failure;
    console.error(`${failure.message}; trying again from event ${(resume?.afterSequence ?? 0n) + 1n}`);
    await sleep(wait, undefined, { signal }).catch(leave);
  }
}

const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: {
  address: { type: "string", default: "127.0.0.1:50051" },
  model: { type: "string", default: "default" },
  "request-id": { type: "string" },
  "cancel-after": { type: "string" }, // seconds
} });
if (positionals.length === 0) {
  console.error("usage: client.js [--address HOST:PORT] [--model M] [--request-id ID] [--cancel-after S] TEXT...");
  process.exit(2);
}
const { model, "request-id": requestId } = flags;
const client = new sauron.GenerationServiceClient(flags.address, credentials.createInsecure(), channelOptions);

const leaving = new AbortController();
const leave = () => leaving.abort();
process.once("SIGINT", leave);
if (flags["cancel-after"]) setTimeout(leave, Number(flags["cancel-after"]) * 1_000).unref();

let printed = false;
try {
  const messages = [{ role: sauron.Role.ROLE_USER, content: positionals.join(" ") }];
  const request = sauron.GenerateRequest.fromPartial({ requestId, model, messages });
  for await (const { kind } of generate(client, request, leaving.signal)) {
    if (kind?.$case === "textDelta") {
      printed = true;
      if (!process.stdout.write(kind.value)) await once(process.stdout, "drain");
    } else if (kind?.$case === "finished") {
      process.exitCode = kind.value.outcome === sauron.Outcome.OUTCOME_CANCELLED ? 130 : 0;
      console.error(`\n${sauron.Outcome[kind.value.outcome]}`);
    }
  }
} catch (caught) {
  const error = caught as ServiceError;
  const { reason, retryAfter, violations } = detailsOf(error);
  console.error(`\n${error.message}${printed ? " (the text is not whole)" : ""}`);
  if (reason) console.error(`reason: ${reason}`);
  if (retryAfter !== undefined) console.error(`retry after: ${retryAfter} ms`);
  for (const { field, description } of violations) console.error(`${field}: ${description}`);
  process.exitCode = leaving.signal.aborted ? 130 : 1;
}
client.close();
