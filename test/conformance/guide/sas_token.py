# The connection guide's SAS recipe, as it stands.
import base64
import hmac
import hashlib
import time
import urllib.parse

def generate_sas_token(uri, key, policy_name=None, expiry=3600):
    """
    Generate a SAS token for Azure IoT Hub
    
    :param uri: Resource URI (e.g., myiothub.azure-devices.net/devices/mydevice)
    :param key: Shared access key
    :param policy_name: Name of the shared access policy (optional)
    :param expiry: Token expiration time in seconds (default: 1 hour)
    :return: SAS token string
    """
    ttl = int(time.time()) + expiry
    sign_key = "%s\n%d" % (urllib.parse.quote_plus(uri), ttl)
    signature = base64.b64encode(
        hmac.HMAC(
            base64.b64decode(key), 
            sign_key.encode('utf-8'), 
            hashlib.sha256
        ).digest()
    ).decode('utf-8')
    
    token = {
        'sr': uri,
        'sig': signature,
        'se': str(ttl)
    }
    
    if policy_name:
        token['skn'] = policy_name
        
    return 'SharedAccessSignature ' + urllib.parse.urlencode(token)
