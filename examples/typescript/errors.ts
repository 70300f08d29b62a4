import type { Metadata } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "./generated/google/rpc/error_details.js";
import { Status } from "./generated/google/rpc/status.js";

/** What a failed call's status says besides code and message: a google.rpc.Status, in a trailer. */
export function detailsOf(error: { metadata?: Metadata }) {
  const trailer = error.metadata?.get("grpc-status-details-bin")[0];
  const details = trailer instanceof Buffer ? Status.decode(trailer).details : [];
  const find = <T>(type: { $type: string; decode(bytes: Uint8Array): T }) => {
    const found = details.find((any) => any.typeUrl.endsWith("/" + type.$type));
    return found && type.decode(found.value);
  };
  const info = find(ErrorInfo), delay = find(RetryInfo)?.retryDelay;
  return {
    reason: info?.domain === "sauron" ? info.reason : undefined, // what to act on
    retryAfter: delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6, // ms
    violations: find(BadRequest)?.fieldViolations ?? [],
  };
}
