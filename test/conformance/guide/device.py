"""A paho device around the guide's snippets: one JSON line out per thing that happened, commands in on standard input."""
import json
import os
import sys
import threading

device_id = os.environ["DEVICE_ID"]


def say(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if os.environ["GUIDE_AUTH"] == "x509":
    from x509_connection import connect_with_certificate
    client = connect_with_certificate(device_id, os.environ["HUB_HOST"], os.environ["CERT_FILE"], os.environ["KEY_FILE"])
else:
    from key_connection import client


def on_connect(client, userdata, flags, rc):
    say(event="connect", rc=rc)
    if rc != 0:
        return
    client.subscribe([
        (f"devices/{device_id}/messages/devicebound/#", 1),
        ("$iothub/methods/POST/#", 0),
        # Missing in the guide; without it no twin answer ever arrives.
        ("$iothub/twin/res/#", 0),
        ("$iothub/twin/PATCH/properties/desired/#", 0),
    ])


def on_message(client, userdata, message):
    topic, body = message.topic, message.payload.decode("utf-8")
    say(event="message", topic=topic, body=body)
    if topic.startswith("$iothub/methods/POST/"):
        rid = topic.split("$rid=")[1]
        client.publish(f"$iothub/methods/res/200/?$rid={rid}", json.dumps({"echo": json.loads(body)}), qos=0)


client.on_connect = on_connect
client.on_subscribe = lambda client, userdata, mid, granted: say(event="subscribed", granted=list(granted))
client.on_publish = lambda client, userdata, mid: say(event="published", mid=mid)
client.on_disconnect = lambda client, userdata, rc: say(event="disconnect", rc=rc)
client.on_message = on_message


def commands():
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "publish":
            info = client.publish(command["topic"], command["body"], qos=command["qos"])
            say(event="publishing", mid=info.mid)
        elif command["do"] == "stop":
            client.disconnect()
            return
    client.disconnect()


threading.Thread(target=commands, daemon=True).start()
client.loop_forever(retry_first_connection=False)
