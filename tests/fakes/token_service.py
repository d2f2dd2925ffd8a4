"""A token service for docker-registry."""

import base64
import json
import secrets
import subprocess
import time
import urllib.parse

from lying_registry import LyingRegistry, whole


class TokenService:
    """Gives tokens that docker-registry verifies: RS256, with the certificate in the token's head."""

    def __init__(self, directory, users):
        self.certificate, self._key, self._users = directory / "token.crt", directory / "token.key", users
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens",
                        "-keyout", self._key, "-out", self.certificate], check=True, capture_output=True)
        self.server = LyingRegistry()
        self.server.answers["/token"] = self._answer
        self.scopes, self.life, self.classes = [], 300, True

    def registry_lines(self):
        return (f"auth:\n  token:\n    realm: http://{self.server.host}/token\n    service: plugins\n    issuer: us\n"
                f"    rootcertbundle: {self.certificate}\n")

    def _answer(self, request, connection):
        query = urllib.parse.parse_qs(request.target.partition("?")[2])
        scopes = query.get("scope", [])
        self.scopes.append(scopes)
        login = request.field("Authorization")
        user = base64.b64decode(login.removeprefix("Basic ")).decode() if login else None
        if user is not None and user not in self._users:
            return whole(401, b'{"details":"incorrect username or password"}')(request, connection)
        if not self.classes and any("(plugin)" in scope for scope in scopes):
            return whole(400, b'{"message":"unknown class"}')(request, connection)
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [action for action in actions.split(",") if user or action == "pull"]
            entry = {"type": kind.partition("(")[0], "name": name, "actions": allowed}
            access.append({**entry, "class": "plugin"} if "(plugin)" in kind else entry)
        body = {"token": self._token(access), "expires_in": self.life}
        return whole(200, json.dumps(body).encode())(request, connection)

    def _token(self, access):
        der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        now = int(time.time())
        parts = [{"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]},
                 {"iss": "us", "sub": "", "aud": "plugins", "exp": now + self.life, "nbf": now - 10, "iat": now,
                  "jti": secrets.token_hex(8), "access": access}]
        text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self._key], input=text, check=True,
                                   capture_output=True).stdout
        return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
