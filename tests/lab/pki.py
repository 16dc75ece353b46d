"""A cluster's CA, and certificates as it would make them and as it never would, by the openssl command."""
import datetime
import subprocess
import uuid

DAY = datetime.timedelta(days=1)


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stamp(days):
    return (datetime.datetime.now(datetime.timezone.utc) + days * DAY).strftime("%Y%m%d%H%M%SZ")


def make_key(path):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    path.chmod(0o600)
    return path


class Paper:
    """A certificate and its key."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key


class Authority:
    def __init__(self, directory, cluster=None):
        self.cluster, self.dir = cluster or str(uuid.uuid4()), directory
        directory.mkdir()
        self.key, self.cert = make_key(directory / "ca-key.pem"), directory / "ca.pem"
        openssl("req", "-x509", "-new", "-key", self.key, "-subj", f"/O={self.cluster}/CN=Test CA", "-days", 30,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", self.cert)
        (directory / "index").write_text("")
        (directory / "index.attr").write_text("unique_subject=no\n")

    def issue(self, name, who, addrs=(), days=(-1, 10), key=None, usage=("clientAuth", "serverAuth")):
        """who: "node/ID", "user/NAME"; days: when it begins and ends, from now."""
        base = self.dir / name
        paper = Paper(base.with_suffix(".pem"), key or make_key(self.dir / f"{name}-key.pem"))
        names = [f"URI:spiffe://{self.cluster}/{who}", *(f"IP:{addr}" for addr in addrs)]
        base.with_suffix(".conf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.dir}/index\nnew_certs_dir={self.dir}\nrand_serial=yes\n"
            "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
            f"[x]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={','.join(usage)}\n"
            f"subjectAltName={','.join(names)}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("req", "-new", "-key", paper.key, "-subj", f"/CN={name}", "-out", base.with_suffix(".csr"))
        openssl("ca", "-batch", "-notext", "-config", base.with_suffix(".conf"), "-keyfile", self.key, "-cert",
                self.cert, "-in", base.with_suffix(".csr"), "-out", paper.cert, "-startdate", stamp(days[0]),
                "-enddate", stamp(days[1]))
        return paper
