"""Checks requests against botocore's models of the services.

Reads a JSON list of requests: {service, operation, method, path, headers, body}, the body as base64.
Writes a JSON list with the problems of each, in the same order.

A request is read into the parameters of its operation by the shapes of the model, they are
validated, and the request that botocore itself makes of them must be the same.
"""

import base64
import datetime
import json
import sys
from urllib.parse import unquote

import botocore.serialize
import botocore.session
import botocore.validate

session = botocore.session.get_session()


class Reader:
    """Reads JSON by the shapes of a model, and notes what does not fit."""

    def __init__(self):
        self.problems = []

    def read(self, value, shape, where):
        read = getattr(self, "_read_" + shape.type_name, None)
        return value if read is None else read(value, shape, where)

    def _read_structure(self, value, shape, where):
        if not isinstance(value, dict):
            self.problems.append(f"{where} is no object")
            return {}
        names = {
            member.serialization.get("name", name): name
            for name, member in shape.members.items()
        }
        params = {}
        for name, member in value.items():
            if name not in names:
                self.problems.append(f"{where}.{name} is not a member of {shape.name}")
                continue
            own = names[name]
            params[own] = self.read(member, shape.members[own], f"{where}.{name}")
        return params

    def _read_list(self, value, shape, where):
        if not isinstance(value, list):
            self.problems.append(f"{where} is no list")
            return []
        return [self.read(item, shape.member, f"{where}[{i}]") for i, item in enumerate(value)]

    def _read_map(self, value, shape, where):
        if not isinstance(value, dict):
            self.problems.append(f"{where} is no map")
            return {}
        return {key: self.read(item, shape.value, f"{where}.{key}") for key, item in value.items()}

    def _read_blob(self, value, shape, where):
        try:
            return base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            self.problems.append(f"{where} is not base64")
            return b""

    def _read_timestamp(self, value, shape, where):
        try:
            if isinstance(value, str):
                return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
            return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        except (TypeError, ValueError):
            self.problems.append(f"{where} is no timestamp")
            return datetime.datetime.now(datetime.timezone.utc)


def labels_of(template, path):
    """The values of {labels} in a path, or None when the path is not of this form."""
    wanted, given = template.split("?")[0].split("/"), path.split("?")[0].split("/")
    if len(wanted) != len(given):
        return None
    labels = {}
    for want, got in zip(wanted, given):
        if want.startswith("{"):
            labels[want.strip("{}")] = unquote(got)
        elif want != got:
            return None
    return labels


def problems_of(request):
    model = session.get_service_model(request["service"])
    operation = model.operation_model(request["operation"])
    headers, path = request["headers"], request["path"]
    body = base64.b64decode(request["body"])
    labels = labels_of(operation.http["requestUri"], path)
    if labels is None or request["method"] != operation.http["method"]:
        return [f"{request['method']} {path} is not {operation.http}"]
    reader = Reader()
    shape = operation.input_shape
    payload = shape.serialization.get("payload")
    params, in_body = {}, {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "uri":
            params[name] = labels.get(wire)
        elif location == "header":
            if wire.lower() in headers:
                params[name] = headers[wire.lower()]
        elif name == payload:
            params[name] = body
        elif location is None:
            in_body[name] = member
    if payload is None and in_body:
        params.update(reader.read(json.loads(body), shape, "body"))
    report = botocore.validate.ParamValidator().validate(params, shape)
    if report.has_errors():
        reader.problems.append(report.generate_report())
    if reader.problems:
        return reader.problems
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"])
    made = serializer.serialize_to_request(params, operation)
    problems = []
    if made["url_path"] != path.split("?")[0]:
        problems.append(f"the path is {path}, and botocore's is {made['url_path']}")
    own = made["body"] or b""
    own = own.encode() if isinstance(own, str) else own
    same = own == body if payload else json.loads(own or b"{}") == json.loads(body)
    if not same:
        problems.append(f"the body is {body!r}, and botocore's is {own!r}")
    scope = headers.get("authorization", "").split("Credential=")[-1].split("/")
    if scope[3:4] != [model.signing_name]:
        problems.append(f"signed for {scope[3:4]}, not {model.signing_name}")
    return problems


json.dump([problems_of(request) for request in json.load(sys.stdin)], sys.stdout)
