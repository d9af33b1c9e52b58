"""A device that speaks MQTT 5 with paho-mqtt 2: prints one line of JSON."""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

received = threading.Event()
seen = {}
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='paho', protocol=mqtt.MQTTv5)


def on_connect(_client, _userdata, _flags, reason_code, _properties):
    seen['connack'] = reason_code.value
    client.subscribe('paho/+', qos=1)


def on_subscribe(_client, _userdata, _mid, reason_codes, _properties):
    seen['suback'] = [code.value for code in reason_codes]
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = 'text/plain'
    properties.CorrelationData = b'\x01'
    properties.UserProperty = [('b', '1'), ('a', '2'), ('b', '3')]
    client.publish('paho/1', 'hello', qos=1, properties=properties)


def on_message(_client, _userdata, message):
    seen['payload'] = message.payload.decode()
    seen['contentType'] = message.properties.ContentType
    seen['userProperties'] = message.properties.UserProperty
    received.set()


client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.connect('127.0.0.1', int(sys.argv[1]))
client.loop_start()
if not received.wait(60):
    sys.exit('nothing came')
client.disconnect()
client.loop_stop()
print(json.dumps(seen))
