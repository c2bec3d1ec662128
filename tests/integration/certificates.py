"""A certificate authority of a test, made by openssl(1) in the test's folder.

    ca = Authority(folder)                  ca.file        → the authority's certificate
    pair = ca.issue("server")               pair.certificate, pair.key, pair.both (one file with the two)

What it issues is for 127.0.0.1 and localhost, and for clients.
"""

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass
class Pair:
    certificate: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", 2, "-subj", f"/CN=logfold test {name}", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",  # Python 3.13 wants it said
                "-keyout", self._key, "-out", self.file)

    def issue(self, name):
        key, request, certificate, both, names = (
            self.folder / f"{name}.{end}" for end in ("key", "csr", "crt", "pem", "ext"))
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
                "-CAcreateserial", "-days", 2, "-extfile", names, "-out", certificate)
        both.write_text(certificate.read_text() + key.read_text())
        return Pair(certificate, key, both)
