# The connection guide's X.509 connection, as it stands but for the CA path.
import os
import ssl
import paho.mqtt.client as mqtt

def connect_with_certificate(device_id, hostname, cert_file, key_file):
    """
    Connect to Azure IoT Hub using X.509 certificate authentication
    
    :param device_id: Device ID registered in IoT Hub
    :param hostname: IoT Hub hostname (e.g., myiothub.azure-devices.net)
    :param cert_file: Path to the certificate file (.pem, .crt, or .cer)
    :param key_file: Path to the private key file (.pem or .key)
    :return: MQTT client instance
    """
    client = mqtt.Client(client_id=device_id, protocol=mqtt.MQTTv311)
    
    # Configure TLS with certificate authentication
    client.tls_set(
        ca_certs=os.environ["HUB_CA"],  # the guide: None, the system's CA certificates
        certfile=cert_file,
        keyfile=key_file,
        cert_reqs=ssl.CERT_REQUIRED,
        tls_version=ssl.PROTOCOL_TLSv1_2,
        ciphers=None
    )
    
    # Connect to IoT Hub
    client.connect(hostname, port=8883, keepalive=60)
    
    return client
