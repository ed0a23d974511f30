#!/usr/bin/python3
"""access_verifier.py: tells a web server whether whoever asks has an access token of a waiting room.

    access_verifier.py KEYS ISSUER AUDIENCE [PORT]
    access_verifier.py /etc/qms/access-keys.json city queue:9 8099

KEYS is a file with a JSON Web Key Set: what qms.access_jwks() answers or, of HS256 keys, the secret that
qms.rotate_access_key() showed: {"keys": [{"kty": "oct", "alg": "HS256", "kid": "1.2", "k": "..."}]}.  It is
read again when it changes.  GET /check with the token in a cookie called access, or in the header
Authorization: Bearer, answers 204, X-Access-Subject and X-Access-Ticket, or 401.  Whatever goes wrong is a
401.  No request goes to the database: a token is good here until it expires, as often as it is shown.
Needs python3-jwt (PyJWT) and, for RS256 and ES256, python3-cryptography.
"""
import json
import os
import sys
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ALGORITHMS = ("HS256", "RS256", "ES256")
REQUIRED = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"]


class Verifier:
    def __init__(self, path, issuer, audience):
        self.path, self.issuer, self.audience = path, issuer, audience
        self.lock = threading.Lock()
        self.changed = None
        self.keys = {}

    def key(self, kid):
        """The key of that name and the algorithm that it is for, which the token has no say in."""
        with self.lock:
            changed = os.stat(self.path).st_mtime_ns
            if changed != self.changed:
                with open(self.path, encoding="utf-8") as file:
                    keys = [k for k in json.load(file)["keys"] if k["alg"] in ALGORITHMS]
                self.keys = {k["kid"]: (jwt.PyJWK(k, k["alg"]).key, k["alg"]) for k in keys}
                self.changed = changed
            return self.keys[kid]

    def claims(self, token):
        """What the token says; an error of any kind if it is not good."""
        key, algorithm = self.key(jwt.get_unverified_header(token)["kid"])
        return jwt.decode(token, key, algorithms=[algorithm], issuer=self.issuer, audience=self.audience,
                          options={"require": REQUIRED})


def token_of(headers):
    kind, _, token = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token
    return SimpleCookie(headers.get("Cookie", ""))["access"].value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            if self.path != "/check":
                raise ValueError("not for us")
            claims = self.server.verifier.claims(token_of(self.headers))
            answer = [("X-Access-Subject", claims["sub"]), ("X-Access-Ticket", claims["jti"].split(".")[0])]
            if not all(value.isprintable() and value.isascii() for _, value in answer):
                raise ValueError("not for a header")
            status = 204
        except Exception as error:
            self.log_error("refused: %s", type(error).__name__)
            status, answer = 401, []
        self.send_response(status)
        for name, value in answer:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code="-", size="-"):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[4]) if len(sys.argv) > 4 else 8099), Handler)
    server.verifier = Verifier(*sys.argv[1:4])
    server.serve_forever()
