"""Asks Sauron for an answer and prints its text as it comes; all else goes to standard error."""

import argparse
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from sauron.v1 import generation_service_pb2 as pb
from sauron.v1 import generation_service_pb2_grpc as pb_grpc

# gRPC itself retries what was refused before headers, and waits as long as the server asks for.
# After headers it retries nothing: it can't know which events were used already. generate does.
SERVICE_CONFIG = """{"methodConfig": [{"name": [{"service": "sauron.v1.GenerationService"}], "retryPolicy": {
    "maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "5s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]}"""
CHANNEL_OPTIONS = [
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.per_rpc_retry_buffer_size", 4 << 20),  # gRPC retries nothing larger; the server takes 4 MiB
    ("grpc.initial_reconnect_backoff_ms", 100),  # a channel reconnects by itself, but not that soon
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 12_000),  # finds connections that died silently; one ping in 10 s is allowed
    ("grpc.http2.ping_timeout_ms", 5_000),  # keepalive_timeout_ms alone leaves it at a minute
    ("grpc.http2.max_pings_without_data", 0),  # no limit; else who only reads soon pings once a minute
]
LOST = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "ABORTED")  # codes, where Sauron says nothing
PATIENCE = 30.0  # seconds from a failure to more of the answer


class Failure(Exception):
    """A call that did not end well. Its text has all that the server said."""

    def __init__(self, error: grpc.RpcError | None) -> None:
        info, retry, bad = ErrorInfo(), RetryInfo(), BadRequest()
        status = rpc_status.from_call(error) if error else None
        for detail in status.details if status else []:
            detail.Unpack(info) or detail.Unpack(retry) or detail.Unpack(bad)
        code = error.code().name if error else "UNKNOWN"
        decided = info.domain == "sauron"  # by the server; else only the connection failed
        self.lost = info.reason in ("DRAINING", "SLOW_CONSUMER") if decided else code in LOST
        self.gone = info.reason == "GENERATION_GONE"
        self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()  # 0: not said
        words = [error.details() if error else "the stream ended early", info.reason]
        words += [f"retry after {self.retry_after} s"] if self.retry_after else []
        words += [f"{v.field}: {v.description}" for v in bad.field_violations]
        super().__init__(f"{code}: {'; '.join(filter(None, words))}")


def generate(stub: pb_grpc.GenerationServiceStub, request: pb.GenerateRequest) -> Iterator[pb.Event]:
    """Yields the events up to Finished. After a lost connection it goes on where it was.

    The request itself keeps its id and the point to resume at, so it is for one answer. Leaving the loop cancels it.
    """
    request.request_id = request.request_id or str(uuid.uuid4())
    answered, served, failures, delay, give_up = request.HasField("resume"), "", 0, 0.0, 0.0
    while True:
        finished, failure, since = False, Failure(None), float("inf")
        try:
            time.sleep(delay)
            call = stub.Generate(request)  # held, to be open still when it is cancelled
            for event in (event for message in call for event in message.events):
                if event.HasField("started"):
                    served, since = event.started.generation_id, time.monotonic()
                    request.resume.generation_id = request.resume.generation_id or served
                finished = event.HasField("finished")
                if event.sequence:  # else it is an event of this stream alone
                    if served != request.resume.generation_id:
                        raise RuntimeError("another generation came")  # two answers are never mixed
                    if event.sequence <= request.resume.after_sequence and not finished:
                        continue  # we have it
                    request.resume.after_sequence = event.sequence
                    if not event.HasField("stage_changed"):
                        answered, failures = True, 0
                yield event
        except grpc.RpcError as error:
            failure = Failure(error)
        except BaseException:  # nobody wants the rest
            if not finished:
                cancel(stub, request.request_id)
            raise
        if finished:
            return
        now = time.monotonic()
        if not failure.lost:
            if answered or not (failure.gone or failure.retry_after):
                raise failure  # the rest of another answer would not fit what was yielded
            request.ClearField("resume")
        elif now - since > 2:
            failures = 0  # the stream was there for a while: the model takes its time
        delay = failure.retry_after + min(2, 0.1 * 2**failures) * random.uniform(0.5, 1.5)
        give_up = give_up if failures else now + PATIENCE
        failures += 1
        if now + delay > give_up:
            raise failure
        print(f"{failure} (again in {delay:.1f} s)", file=sys.stderr)


def cancel(stub: pb_grpc.GenerationServiceStub, request_id: str, again: bool = True) -> None:
    """Cancels a request, from any thread or process: its stream ends with OUTCOME_CANCELLED."""
    try:
        stub.Cancel(pb.CancelRequest(request_id=request_id), timeout=5, wait_for_ready=True)
    except grpc.RpcError as error:
        if again and error.code() == grpc.StatusCode.NOT_FOUND:
            time.sleep(1)  # its Generate may be on the way
            return cancel(stub, request_id, again=False)
        print(f"not cancelled: {Failure(error)}", file=sys.stderr)
    except ValueError as error:  # the channel is closed
        print(f"not cancelled: {error}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Prints an answer as it comes. Ctrl-C cancels it.")
    parser.add_argument("--address", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--model", default="default")
    parser.add_argument("--request-id", default=str(uuid.uuid4()), metavar="ID")
    parser.add_argument("--cancel-after", default=threading.TIMEOUT_MAX, type=float, metavar="SECONDS")
    parser.add_argument("text", metavar="TEXT", nargs="+")
    args = parser.parse_args()
    request = pb.GenerateRequest(request_id=args.request_id, model=args.model)
    request.messages.add(role=pb.ROLE_USER, content=" ".join(args.text))
    with grpc.insecure_channel(args.address, CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.GenerationServiceStub(channel)
        canceller = threading.Timer(args.cancel_after, cancel, (stub, args.request_id))
        canceller.start()
        try:
            for event in generate(stub, request):
                sys.stdout.buffer.write(event.text_delta.encode())
                sys.stdout.buffer.flush()
            return 0 if event.finished.outcome == pb.OUTCOME_COMPLETED else 130
        except KeyboardInterrupt:
            return 130
        except Failure as failure:
            print(f"the answer is not whole: {failure}", file=sys.stderr)
            return 1
        finally:
            canceller.cancel()  # or, if it is under way already,
            canceller.join()  # let it end


if __name__ == "__main__":
    sys.exit(main())
