#!/usr/bin/python3
"""What we make, in the eyes of the openssl command: test_openssl.py MAKE_CERTS"""

import datetime
import os
import re
import subprocess
import sys
import tempfile
import unittest

CLUSTER = '0192f3a4-5b6c-7d8e-9f01-23456789abcd'
NODE = '7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162'
MAKE_CERTS = None


class Openssl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory(prefix='quilt-test-')
        cls.dir = cls.temp.name
        subprocess.run([MAKE_CERTS, cls.dir], check=True, timeout=30)

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    def openssl(self, *args):
        return subprocess.run(['openssl', *args], cwd=self.dir, capture_output=True, text=True, timeout=30)

    def text(self, name):
        done = self.openssl('x509', '-noout', '-text', '-in', name)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def extension(self, name, title):
        """The line below an extension's title, and whether the extension is critical."""
        m = re.search(rf'X509v3 {title}: (critical)?\s*\n\s*(.*?)\s*\n', self.text(name))
        return (m[2], bool(m[1])) if m else None

    def life(self, name):
        done = self.openssl('x509', '-noout', '-startdate', '-enddate', '-in', name)
        form = '%b %d %H:%M:%S %Y GMT'
        start, end = (datetime.datetime.strptime(line.split('=')[1], form)
                      for line in done.stdout.strip().split('\n'))
        return end - start

    def verify(self, name, purpose, ca='ca.pem'):
        return self.openssl('verify', '-x509_strict', '-CAfile', ca, '-purpose', purpose, name)

    def test_the_ca_verifies_what_it_has_made_for_its_purposes_and_no_others(self):
        for name, purposes in (('server.pem', ['sslserver']), ('admin.pem', ['sslclient']),
                               ('user.pem', ['sslclient']), ('node.pem', ['sslclient', 'sslserver'])):
            for purpose in ('sslclient', 'sslserver'):
                done = self.verify(name, purpose)
                self.assertEqual(done.returncode == 0, purpose in purposes, (name, purpose, done.stderr))

    def test_another_ca_does_not(self):
        self.assertNotEqual(self.verify('node.pem', 'sslclient', 'ca-next.pem').returncode, 0)

    def test_a_bundle_of_two_does(self):
        self.assertEqual(self.verify('node.pem', 'sslclient', 'ca-bundle.pem').returncode, 0)

    def test_the_ca_may_sign_and_nothing_below_it_may(self):
        self.assertEqual(self.extension('ca.pem', 'Basic Constraints'), ('CA:TRUE, pathlen:0', True))
        self.assertEqual(self.extension('ca.pem', 'Key Usage'), ('Certificate Sign, CRL Sign', True))
        for name in ('node.pem', 'user.pem', 'server.pem', 'admin.pem'):
            self.assertEqual(self.extension(name, 'Basic Constraints'), ('CA:FALSE', True))
            self.assertEqual(self.extension(name, 'Key Usage'), ('Digital Signature', True))

    def test_names_and_purposes_are_those_ordered(self):
        client, server = 'TLS Web Client Authentication', 'TLS Web Server Authentication'
        uri = f'URI:spiffe://{CLUSTER}'
        for name, names, purposes in (
                ('node.pem', f'{uri}/node/{NODE}, IP Address:192.168.1.11', f'{client}, {server}'),
                ('user.pem', f'{uri}/user/ada', client),
                ('admin.pem', f'{uri}/user/admin', client),
                ('server.pem', f'{uri}/control, DNS:localhost, DNS:control.example, IP Address:127.0.0.1',
                 server)):
            self.assertEqual(self.extension(name, 'Subject Alternative Name'), (names, False))
            self.assertEqual(self.extension(name, 'Extended Key Usage'), (purposes, False))

    def test_lives_are_those_ordered_and_the_hour_before(self):
        for name, days in (('ca.pem', 3650), ('node.pem', 30), ('user.pem', 1), ('server.pem', 90)):
            self.assertEqual(self.life(name), datetime.timedelta(days=days, hours=1))

    def test_keys_are_of_p256_and_signatures_of_sha256(self):
        for name in ('ca.pem', 'node.pem', 'server.pem'):
            self.assertIn('ASN1 OID: prime256v1', self.text(name))
            self.assertIn('Signature Algorithm: ecdsa-with-SHA256', self.text(name))

    def test_the_subject_is_for_people(self):
        subject = self.openssl('x509', '-noout', '-subject', '-in', 'node.pem').stdout.strip()
        self.assertEqual(subject, f'subject=O = {CLUSTER}, CN = {NODE}')
        self.assertRegex(self.openssl('x509', '-noout', '-subject', '-in', 'ca.pem').stdout.strip(),
                         rf'^subject=O = {CLUSTER}, CN = Quilt Mesh CA [a-z2-7]{{8}}$')

    def test_keys_and_requests_are_read(self):
        for name in ('ca-key.pem', 'node-key.pem', 'server-key.pem'):
            done = self.openssl('pkey', '-noout', '-check', '-in', name)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.openssl('req', '-noout', '-verify', '-in', 'node.csr').returncode, 0)

    def test_a_key_and_its_certificate_belong_together(self):
        for stem in ('ca', 'ca-next', 'server', 'admin', 'node', 'user'):
            key = os.path.join(self.dir, f'{stem}-key.pem')
            self.assertEqual(self.openssl('pkey', '-pubout', '-in', key).stdout,
                             self.openssl('x509', '-noout', '-pubkey', '-in', f'{stem}.pem').stdout)


if __name__ == '__main__':
    MAKE_CERTS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
