"""AWS IoT Device SDK for Python, version 2, by MQTT 3.1.1: publishes, gets it back, updates a shadow."""
import json
import sys
import threading

from awscrt import auth, mqtt
from awsiot import iotshadow, mqtt_connection_builder

given = json.loads(sys.argv[1])
certs = given["certs"]
common = {
    "endpoint": "localhost",
    "port": given["port"],
    "client_id": "python-" + given["way"],
    "ca_filepath": f"{certs}/ca.pem",
}
if given["way"] == "certificate":
    connection = mqtt_connection_builder.mtls_from_path(
        f"{certs}/devices/device.pem", f"{certs}/devices/device-key.pem", **common
    )
else:
    provider = auth.AwsCredentialsProvider.new_static(given["accessKeyId"], given["secretKey"])
    connection = mqtt_connection_builder.websockets_with_default_aws_signing(
        "us-east-1", provider, **common
    )
try:
    connection.connect().result(20)
except Exception as error:
    print("failed", error)
    sys.exit(1)

received = threading.Event()


def on_message(topic, payload, **_):
    print("message", topic, payload.decode())
    received.set()


qos = mqtt.QoS.AT_LEAST_ONCE
connection.subscribe("sdk/python", qos, on_message)[0].result(20)
connection.publish("sdk/python", '{"a":1}', qos)[0].result(20)
received.wait(20)

accepted = threading.Event()


def on_accepted(response):
    print("shadow python accepted", json.dumps(response.state.reported), response.client_token)
    accepted.set()


shadows = iotshadow.IotShadowClient(connection)
shadows.subscribe_to_update_shadow_accepted(
    iotshadow.UpdateShadowSubscriptionRequest(thing_name="python"), qos, on_accepted
)[0].result(20)
shadows.publish_update_shadow(
    iotshadow.UpdateShadowRequest(
        thing_name="python",
        client_token="t",
        state=iotshadow.ShadowState(reported={"on": True}),
    ),
    qos,
).result(20)
accepted.wait(20)
connection.disconnect().result(20)
