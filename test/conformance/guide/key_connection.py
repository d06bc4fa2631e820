# The connection guide's client configuration, as it stands but for host, token and CA path.
import os
import paho.mqtt.client as mqtt
import ssl
from sas_token import generate_sas_token

# Configuration parameters
config = {
    'client_id': 'mydevice',
    'hostname': os.environ["HUB_HOST"],
    'port': 8883,
    'username': os.environ["HUB_HOST"] + '/mydevice/?api-version=2021-04-12',
    'password': generate_sas_token(os.environ["HUB_HOST"] + "/devices/mydevice", os.environ["DEVICE_KEY"]),
    'keepalive': 120,
    'clean_session': True,
    'qos': 1
}

# Create MQTT client
client = mqtt.Client(client_id=config['client_id'], protocol=mqtt.MQTTv311)
client.username_pw_set(config['username'], config['password'])

# Configure TLS
client.tls_set(
    ca_certs=os.environ["HUB_CA"],  # the guide: None, the system's CA certificates
    cert_reqs=ssl.CERT_REQUIRED,
    tls_version=ssl.PROTOCOL_TLSv1_2,
    ciphers=None
)

# Connect to IoT Hub
client.connect(config['hostname'], config['port'], config['keepalive'])
