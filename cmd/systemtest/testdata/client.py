"""A client in Python, from nothing but the contract: client.py ADDRESS SCENARIO.

It prints what it saw as one JSON object. The generated modules must be on the path.
"""

import json
import sys
import threading

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sauron.v1 import generation_service_pb2 as pb
from sauron.v1 import generation_service_pb2_grpc as pb_grpc


def request(request_id, content):
    message = pb.Message(role=pb.ROLE_USER, content=content)
    return pb.GenerateRequest(request_id=request_id, model="default", messages=[message])


def events(call):
    for response in call:
        yield from response.events


def outcome(event):
    return pb.Outcome.Name(event.finished.outcome)


def stream(stub):
    """Reads a whole answer."""
    call = stub.Generate(request("py-stream", "stream"))
    headers = dict(call.initial_metadata())
    got = list(events(call))
    return {
        "headers": sorted(name for name in headers if name.startswith("sauron-")),
        "participation": pb.Participation.Name(got[0].started.participation),
        "sequences": [event.sequence for event in got],
        "text": "".join(event.text_delta for event in got),
        "outcome": outcome(got[-1]),
    }


def cancel(stub):
    """Cancels from another thread what this one is reading."""
    state = []

    def cancel_it():
        answer = stub.Cancel(pb.CancelRequest(request_id="py-cancel"))
        state.append(pb.CancelState.Name(answer.state))

    canceller = threading.Thread(target=cancel_it)
    text = ""
    for event in events(stub.Generate(request("py-cancel", "cancel"))):
        text += event.text_delta
        if event.text_delta:
            canceller.start()
    canceller.join()
    return {"text": text, "outcome": outcome(event), "state": state[0]}


def error(stub):
    """Takes a failure apart."""
    text = ""
    try:
        for event in events(stub.Generate(request("py-error", "error"))):
            text += event.text_delta
    except grpc.RpcError as failure:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in rpc_status.from_call(failure).details:
            detail.Unpack(info) or detail.Unpack(retry)
        return {
            "text": text,
            "code": failure.code().name,
            "reason": info.reason,
            "domain": info.domain,
            "metadata": dict(info.metadata),
            "retry_seconds": retry.retry_delay.seconds,
        }
    return {"text": text}


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[1]) as channel:
        scenarios = {"stream": stream, "cancel": cancel, "error": error}
        found = scenarios[sys.argv[2]](pb_grpc.GenerationServiceStub(channel))
    print(json.dumps(found))
