"""An identity provider of this run: its keys over http on loopback, and tokens signed by openssl."""

import base64
import http.server
import json
import subprocess
import threading
import time

AUDIENCE = "load"


def url_safe(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Publishes one ES256 key; `token()` gives what it signs."""

    def __init__(self, where):
        self.key = where / "issuer.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key], check=True, capture_output=True)
        public = subprocess.run(["openssl", "ec", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        # The DER ends in the uncompressed point: 04, then x and y.
        x, y = public[-64:-32], public[-32:]
        keys = {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "load", "x": url_safe(x), "y": url_safe(y)}]}

        class Keys(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(keys).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self):
        return f"http://{self.host}"

    def token(self, subject):
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, "scope": "read:accounts",
                  "email": f"{subject}@load.example"}
        head = {"alg": "ES256", "typ": "JWT", "kid": "load"}
        signed = ".".join(url_safe(json.dumps(part).encode()) for part in (head, claims))
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{url_safe(raw_signature(der))}"

    def stop(self):
        self.server.shutdown()


def raw_signature(der):
    """r and s of a DER signature, 32 bytes each (RFC 7518 §3.4)."""
    place, numbers = 2, []
    for _ in range(2):
        length = der[place + 1]
        numbers.append(int.from_bytes(der[place + 2:place + 2 + length]))
        place += 2 + length
    return b"".join(number.to_bytes(32) for number in numbers)
