"""A certificate authority that nobody but a test trusts."""

import subprocess


class Authority:
    """A private CA in a directory."""

    def __init__(self, directory, name="ca"):
        self.directory, self.certificate = directory, directory / f"{name}.crt"
        self._key = directory / f"{name}.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate)

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name, use="serverAuth"):
        """A PEM file with certificate and key."""
        base = self.directory / name
        extensions = base.with_suffix(".ext")
        extensions.write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage={use}\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                  "-keyout", f"{base}.key", "-out", f"{base}.csr")
        self._run("x509", "-req", "-in", f"{base}.csr", "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                  "-days", "2", "-extfile", extensions, "-out", f"{base}.cert")
        pem = base.with_suffix(".pem")
        pem.write_bytes(base.with_name(name + ".cert").read_bytes() + base.with_name(name + ".key").read_bytes())
        return pem
