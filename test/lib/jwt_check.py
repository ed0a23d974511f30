#!/usr/bin/python3
"""jwt_check.py: two other libraries for JSON Web Tokens, PyJWT and jwcrypto, and the lower levels for forging.

Reads a JSON object from standard input and writes one to standard output.  Keys are as
qms_internal.signing_key holds them, in base64: bytes, or a private key in DER.

{"sign": [{"alg", "kid", "key", "claims"}...]}      -> {"tokens": [{"lib", "token", "claims"}...]}
{"verify": [{"alg", "key", "token", "aud"}...], "jwks"}    -> {"verified": [{"lib", "by", "claims"}...]}
{"forge": {"hs", "rs", "es", "claims"}}             -> {"forged": [{"name", "token"}...]}, keys with a kid each
"""
import base64
import hashlib
import hmac
import json
import sys
import warnings
import zlib

warnings.simplefilter("ignore")
import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from jwcrypto import jwe, jwk, jws
from jwcrypto import jwt as jwc


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def load(alg, key):
    """The private key, or the bytes."""
    raw = base64.b64decode(key)
    return raw if alg == "HS256" else serialization.load_der_private_key(raw, None)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk_of(alg, key):
    if alg == "HS256":
        return jwk.JWK(kty="oct", k=b64(key))
    return jwk.JWK.from_pem(private_pem(key))


def sign(case):
    alg, kid, claims = case["alg"], case["kid"], case["claims"]
    key = load(alg, case["key"])
    yield "pyjwt", jwt.encode(claims, key, algorithm=alg, headers={"kid": kid})
    token = jwc.JWT(header={"alg": alg, "typ": "JWT", "kid": kid}, claims=claims)
    token.make_signed_token(jwk_of(alg, key))
    yield "jwcrypto", token.serialize()


def verify(case, jwks):
    alg, token, aud = case["alg"], case["token"], case.get("aud")
    wanted = {"aud": aud, "exp": None} if aud else None
    key = load(alg, case["key"])
    public = key if alg == "HS256" else key.public_key()
    yield "pyjwt", "key", jwt.decode(token, public, algorithms=[alg], audience=aud)
    checked = jwc.JWT(algs=[alg], key=jwk_of(alg, key), jwt=token, check_claims=wanted)
    yield "jwcrypto", "key", json.loads(checked.claims)
    if alg != "HS256":
        kid = jwt.get_unverified_header(token)["kid"]
        found = next(k for k in jwt.PyJWKSet.from_dict(jwks).keys if k.key_id == kid)
        yield "pyjwt", "jwks", jwt.decode(token, found.key, algorithms=[alg], audience=aud)
        checked = jwc.JWT(algs=[alg], key=jwk.JWKSet.from_json(json.dumps(jwks)), jwt=token, check_claims=wanted)
        yield "jwcrypto", "jwks", json.loads(checked.claims)


def forge(keys):
    claims = keys["claims"]
    payload = json.dumps(claims).encode()
    hs, rs, es = (load(alg, keys[name]["key"]) for alg, name in (("HS256", "hs"), ("RS256", "rs"), ("ES256", "es")))
    kid = {name: keys[name]["kid"] for name in ("hs", "rs", "es")}

    def text(header, body=payload):
        return b64(json.dumps(header).encode()) + "." + b64(body)

    def head(alg, name, **more):
        return {"alg": alg, "typ": "JWT", "kid": kid[name], **more}

    def hs_signed(header, key=hs, body=payload, digest=hashlib.sha256):
        t = text(header, body)
        return t + "." + b64(hmac.new(key, t.encode(), digest).digest())

    def rs_signed(header, key=rs, pad=None, digest=None, body=payload):
        t = text(header, body)
        return t + "." + b64(key.sign(t.encode(), pad or padding.PKCS1v15(), digest or hashes.SHA256()))

    def es_raw(header, key=es, digest=None, size=32):
        t = text(header)
        r, s = utils.decode_dss_signature(key.sign(t.encode(), ec.ECDSA(digest or hashes.SHA256())))
        return t, r, s, size

    def join(t, r, s, size=32):
        return t + "." + b64(r.to_bytes(size, "big") + s.to_bytes(size, "big"))

    # without a signature
    yield "none by PyJWT", jwt.encode(claims, None, algorithm="none", headers={"kid": kid["hs"]})
    for alg in ("none", "NONE", "nOnE", ""):
        yield f"alg {alg!r}, empty signature", text(head(alg, "hs")) + "."
        yield f"alg {alg!r}, two parts", text(head(alg, "hs"))
        yield f"alg {alg!r}, signed all the same", hs_signed(head(alg, "hs"))
    yield "HS256, empty signature", text(head("HS256", "hs")) + "."
    # one algorithm's key used as another's
    for name, key in (("rs", rs), ("es", es)):
        pem = public_pem(key)
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for form, secret in (("PEM", pem), ("PEM without newline", pem.strip()), ("DER", der)):
            yield f"HS256 with the public key of {name} as {form}", hs_signed(head("HS256", name), secret)
    yield "HS256 with an empty key", hs_signed(head("HS256", "hs"), b"")
    yield "HS256 with a zero key", hs_signed(head("HS256", "hs"), bytes(32))
    yield "HS256 named RS256", hs_signed(head("RS256", "rs"))
    yield "HS256 under the kid of rs", hs_signed(head("HS256", "rs"))
    yield "HS512", hs_signed(head("HS512", "hs"), digest=hashlib.sha512)
    yield "HS384 named HS256", hs_signed(head("HS256", "hs"), digest=hashlib.sha384)
    yield "RS256 named ES256", rs_signed(head("ES256", "es"))
    yield "RS256 under the kid of es", rs_signed(head("RS256", "es"))
    yield "RS512", rs_signed(head("RS512", "rs"), digest=hashes.SHA512())
    yield "RS512 named RS256", rs_signed(head("RS256", "rs"), digest=hashes.SHA512())
    yield "RS1 named RS256", rs_signed(head("RS256", "rs"), digest=hashes.SHA1())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    yield "PS256", rs_signed(head("PS256", "rs"), pad=pss)
    yield "PS256 named RS256", rs_signed(head("RS256", "rs"), pad=pss)
    yield "ES512 named ES256", join(*es_raw(head("ES256", "es"), digest=hashes.SHA512()))
    # keys of one's own
    yield "HS256 with another key", hs_signed(head("HS256", "hs"), bytes(range(32)))
    other = rsa.generate_private_key(65537, 2048)
    yield "RS256 with another key", rs_signed(head("RS256", "rs"), other)
    jwk_rsa = json.loads(jwk.JWK.from_pem(public_pem(other)).export_public())
    yield "RS256 with another key, which it brings along", rs_signed(head("RS256", "rs", jwk=jwk_rsa), other)
    yield "RS256 with a key that it says where to find", rs_signed(head("RS256", "rs", jku="http://127.0.0.1/jwks"), other)
    for curve in (ec.SECP256R1(), ec.SECP256K1(), ec.BrainpoolP256R1()):
        yield f"ES256 with another key on {curve.name}", join(*es_raw(head("ES256", "es"), ec.generate_private_key(curve)))
    yield "ES384", join(*es_raw(head("ES384", "es"), ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), 48))
    eddsa = ed25519.Ed25519PrivateKey.generate()
    yield "EdDSA", jwt.encode(claims, eddsa, algorithm="EdDSA", headers={"kid": kid["es"]})
    # signatures that are not as they must be
    good = hs_signed(head("HS256", "hs"))
    t, signature = good.rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "=")
    yield "HS256, half a signature", t + "." + b64(raw[:16])
    yield "HS256, a signature and more", t + "." + b64(raw + b"\0")
    yield "HS256, as hex", t + "." + raw.hex()
    yield "HS256, padded", good + "="
    yield "HS256, plain base64", t + "." + base64.b64encode(raw).decode()
    yield "HS256, of another header", text(head("HS256", "hs", x=1)) + "." + signature
    yield "HS256, of other claims", text(head("HS256", "hs"), b'{"exp": 4102444800, "sub": "staff:1"}') + "." + signature
    t, signature = rs_signed(head("RS256", "rs")).rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "==")
    yield "RS256, one byte more in front", t + "." + b64(b"\0" + raw)
    yield "RS256, one byte less", t + "." + b64(raw[1:])
    yield "RS256, zeros", t + "." + b64(bytes(len(raw)))
    yield "RS256, plus the modulus", t + "." + b64(
        (int.from_bytes(raw, "big") + rs.public_key().public_numbers().n).to_bytes(len(raw) + 1, "big"))
    t, r, s, _ = es_raw(head("ES256", "es"))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    yield "ES256, as DER", t + "." + b64(utils.encode_dss_signature(r, s))
    yield "ES256, r and s swapped", join(t, s, r)
    for name, pair in {"0, 0": (0, 0), "0, s": (0, s), "r, 0": (r, 0), "1, 1": (1, 1), "n, n": (order, order),
                       "r, n": (r, order)}.items():
        yield f"ES256, r and s are {name}", join(t, *pair)
    if r + order < 2 ** 256:
        yield "ES256, r plus the order", join(t, r + order, s)
    yield "ES256, 33 bytes each", join(t, r, s, 33)
    yield "ES256, r only", t + "." + b64(r.to_bytes(32, "big"))
    yield "ES256, empty", t + "."
    # headers that want something
    yield "crit", hs_signed(head("HS256", "hs", crit=["exp"], exp=1))
    yield "crit by jwcrypto, unencoded payload", unencoded(hs, kid["hs"], claims)
    yield "compressed", hs_signed(head("HS256", "hs", zip="DEF"), body=zlib.compress(payload))
    yield "cty JWT: a token in a token", hs_signed(head("HS256", "hs", cty="JWT"), body=good.encode())
    yield "a token in a token", hs_signed(head("HS256", "hs"), body=good.encode())
    # other forms
    encrypted = jwe.JWE(payload, json.dumps({"alg": "dir", "enc": "A256GCM", "kid": kid["hs"], "typ": "JWT"}))
    encrypted.add_recipient(jwk.JWK(kty="oct", k=b64(hs[:32])))
    yield "JWE", encrypted.serialize(compact=True)
    many = jws.JWS(payload)
    many.add_signature(jwk.JWK(kty="oct", k=b64(hs)), None, json.dumps(head("HS256", "hs")))
    yield "JWS in JSON", many.serialize()
    yield "Bearer in front", "Bearer " + good
    yield "detached payload", ".".join((good.split(".")[0], "", good.split(".")[2]))
    yield "an array around the claims", hs_signed(head("HS256", "hs"), body=json.dumps([claims]).encode())
    yield "UTF-16", hs_signed(head("HS256", "hs"), body=json.dumps(claims).encode("utf-16"))
    yield "a byte order mark", hs_signed(head("HS256", "hs"), body=b"\xef\xbb\xbf" + payload)
    yield "expired", hs_signed(head("HS256", "hs"), body=json.dumps({**claims, "exp": 1000000000}).encode())
    yield "not valid yet", hs_signed(head("HS256", "hs"), body=json.dumps({**claims, "nbf": 4000000000}).encode())
    yield "from the future", hs_signed(head("HS256", "hs"), body=json.dumps({**claims, "iat": 4000000000}).encode())
    yield "for ever", hs_signed(head("HS256", "hs"), body=b'{"sub": "staff:1"}')
    yield "for somebody else", hs_signed(head("HS256", "hs"), body=json.dumps({**claims, "aud": "elsewhere"}).encode())


def unencoded(key, kid, claims):
    token = jws.JWS(json.dumps(claims))
    token.add_signature(jwk.JWK(kty="oct", k=b64(key)), None,
                        json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid, "b64": False, "crit": ["b64"]}))
    return token.serialize(compact=False) if "." in json.dumps(claims) else token.serialize(compact=True)


question = json.load(sys.stdin)
answer = {}
if "sign" in question:
    answer["tokens"] = [
        {"lib": lib, "token": token, "claims": case["claims"]} for case in question["sign"] for lib, token in sign(case)]
if "verify" in question:
    answer["verified"] = [
        {"lib": lib, "by": by, "claims": claims}
        for case in question["verify"] for lib, by, claims in verify(case, question["jwks"])]
if "forge" in question:
    answer["forged"] = [{"name": name, "token": token} for name, token in forge(question["forge"])]
json.dump(answer, sys.stdout)
