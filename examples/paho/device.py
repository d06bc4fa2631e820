"""A device in Python with paho: telemetry every two seconds, C2D messages, methods and desired properties shown.

    python3 examples/paho/device.py '<device connection string>' .hubwire/ca.pem [--count N]

Needs paho: `apt install python3-paho-mqtt` or `pip install paho-mqtt`.
"""
import base64
import hashlib
import hmac
import json
import ssl
import sys
import time
import urllib.parse

import paho.mqtt.client as mqtt


def sas_token(resource, key, lifetime_s=3600):
    expires = int(time.time()) + lifetime_s
    escaped = urllib.parse.quote_plus(resource)
    signature = hmac.new(base64.b64decode(key), f"{escaped}\n{expires}".encode(), hashlib.sha256).digest()
    return "SharedAccessSignature " + urllib.parse.urlencode(
        {"sr": resource, "sig": base64.b64encode(signature), "se": expires})


def main(connection_string, ca_file, count):
    parts = dict(part.split("=", 1) for part in connection_string.split(";"))
    device = parts["DeviceId"]
    host, _, port = parts["HostName"].partition(":")

    make = getattr(mqtt, "CallbackAPIVersion", None)
    arguments = [make.VERSION1] if make else []  # paho 2 asks which callbacks are meant
    client = mqtt.Client(*arguments, client_id=device, protocol=mqtt.MQTTv311, clean_session=False)
    client.username_pw_set(f"{host}/{device}/?api-version=2021-04-12",
                           sas_token(f"{host}/devices/{device}", parts["SharedAccessKey"]))
    client.tls_set(ca_certs=ca_file, cert_reqs=ssl.CERT_REQUIRED)

    def on_connect(client, userdata, flags, rc):
        if rc != 0:
            print(f"refused with {rc}: the hub's log says exactly why", flush=True)
            client.disconnect()
            return
        print("connected", flush=True)
        client.subscribe([(f"devices/{device}/messages/devicebound/#", 1), ("$iothub/methods/POST/#", 0),
                          ("$iothub/twin/res/#", 0), ("$iothub/twin/PATCH/properties/desired/#", 0)])

    def on_message(client, userdata, message):
        body = message.payload.decode()
        print(f"{message.topic} {body}", flush=True)
        if message.topic.startswith("$iothub/methods/POST/"):
            request_id = message.topic.split("$rid=")[1]
            client.publish(f"$iothub/methods/res/200/?$rid={request_id}", json.dumps({"ok": True}))

    client.on_connect = on_connect
    client.on_message = on_message
    client.connect(host, int(port or 8883), keepalive=60)
    client.loop_start()
    sent = 0
    try:
        while count is None or sent < count:
            body = json.dumps({"temperature": 20 + sent % 5})
            message = client.publish(f"devices/{device}/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8", body, qos=1)
            message.wait_for_publish()
            sent += 1
            print(f"sent {body}", flush=True)
            time.sleep(2 if count is None else 0)
    except KeyboardInterrupt:
        pass
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    wanted = int(sys.argv[sys.argv.index("--count") + 1]) if "--count" in sys.argv else None
    main(sys.argv[1], sys.argv[2], wanted)
