/* Keys and requests that the openssl command made: a key that everybody has, and what it should
 * not be asked to sign. */
#pragma once

/* openssl ec -pubout -outform DER | sha256sum */
#define EVERYBODYS_SPKI "4eac6d00e5df163219ed90ec8743369136e355a4086a8829be95d5ace1bcb3a9"

static const char everybodys_key_sec1[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEINkkgF7L2jznkB64G9tEQuk/y/Cb0PjmEw9/xcv4Wn+4oAoGCCqGSM49\n"
    "AwEHoUQDQgAEJltOwBnOPD4TNVmAADpwHadc/nWZrVw/hGOZcoswYdMW0r27VB7b\n"
    "aPyGJTIplbavgfxKYVaFiWViAnUlidkZvw==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char everybodys_key_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2SSAXsvaPOeQHrgb\n"
    "20RC6T/L8JvQ+OYTD3/Fy/haf7ihRANCAAQmW07AGc48PhM1WYAAOnAdp1z+dZmt\n"
    "XD+EY5lyizBh0xbSvbtUHtto/IYlMimVtq+B/EphVoWJZWICdSWJ2Rm/\n"
    "-----END PRIVATE KEY-----\n";

static const char everybodys_key_encrypted[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhCIgpf7sMbhQICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDKNkN7jPNYlzg0mX/qhToAEgZAg\n"
    "jNt478uTANgt7IS/2zpmDWbjn5wrE1+QvU2WWgPfhFvGJDhIvUgqqi+o5Oj7l9pP\n"
    "NTNJAbY6cQMPSJ5qUVpFOG9UnwIk3c9k21eUnV/vcsSuOARKPnn99dpjw/tnog4T\n"
    "agsT+oN2TlaJlSM9Ys6W195d2TYAUc+dsxhIPCfU+snun6rgLY6UZfWhGwkMrCE=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

/* Of the same key, with O=evil, CN=admin and the name of a user. */
static const char everybodys_csr[] =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBDjCBtAIBADAfMQ0wCwYDVQQKDARldmlsMQ4wDAYDVQQDDAVhZG1pbjBZMBMG\n"
    "ByqGSM49AgEGCCqGSM49AwEHA0IABCZbTsAZzjw+EzVZgAA6cB2nXP51ma1cP4Rj\n"
    "mXKLMGHTFtK9u1Qe22j8hiUyKZW2r4H8SmFWhYllYgJ1JYnZGb+gMzAxBgkqhkiG\n"
    "9w0BCQ4xJDAiMCAGA1UdEQQZMBeGFXNwaWZmZTovL3gvdXNlci9hZG1pbjAKBggq\n"
    "hkjOPQQDAgNJADBGAiEA/GzzGWlVhfjqRGIGPSCqj/qbFjsJD+nU6hvVmWZweYEC\n"
    "IQCub+3B6Q4WlmNNULJ1ulAaui0JjDYiYE0JniAZPBZEgQ==\n"
    "-----END CERTIFICATE REQUEST-----\n";

static const char p384_csr[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                               "MIIBBDCBiwIBADAMMQowCAYDVQQDDAF4MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE\n"
                               "CY7L4eBCsI8mw/McS11E7Ksoly/x7j8Glo6RWoYx/42Z5gqDwLLkAKB9Ag9DH+fO\n"
                               "pl2v3iekb2jiAbMmxu8q8KScE1CEG4gLpylJQKHpdna13Dxc5y5Po0tdaJeffMOK\n"
                               "oAAwCgYIKoZIzj0EAwIDaAAwZQIxAIoxHLYyFqL7AAJN61eKDvOtzH6yUJLKeOUX\n"
                               "iRiKjz/rCWxxi178x5CkM6yiGWKMTwIwebn/BU3/EeUQ8sFKgb7d++CVQNn6lEz2\n"
                               "+GB2eOuVkyFsdw1et9ZxN0KKw+ZvUC14\n"
                               "-----END CERTIFICATE REQUEST-----\n";

static const char rsa_csr[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                              "MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP\n"
                              "ADCCAQoCggEBAMaewG+i47hCW6t4qYAuwkhpI0FW4wtlcLiOrF2dxHf70Zc/YTmw\n"
                              "w+dHj6VOmQCvbYi0FWFO1jPBWNT6OIwTt9eOUtblsQiQ4HirTA8QrWYZL3qsK1la\n"
                              "uDsDZIFPtyYb5SGIJ1LFK6s8YvdL7TnCuLJmAzOcvmvHb4qXN1xxrE203a66bYaS\n"
                              "+heJOHU9ridPggD8jGiMhS5SQNEcNSNI1sCr78nWL6uWXagf/zlYjqyeLSOu2Xkt\n"
                              "8FuzlzZgxMWekhS0MeRX6hR2VTCXnRG2EyM9/Y/DJfpHZVHLmcp76AukmJFO8oqG\n"
                              "/fPQcPwqvD0OqwWnYeX7pgayyamYwJgID8MCAwEAAaAAMA0GCSqGSIb3DQEBCwUA\n"
                              "A4IBAQAtAwgYBjSmmIL5W6Fx6b5RiQQnyZytTQM/KS5rvoCAzy+VLj8ripdr02Jp\n"
                              "f8lTYOcWmW1gzduxOTG++JyN2QXffAwVp4AkZFv2lZNL5qgRnSopxYwf2jV3VzQI\n"
                              "/0vNcm/liOLUQXYkpJZYs3Nga+JGznzlw6wogxWycFuZVCmG2pTGhcFGhTQO+wo7\n"
                              "g9t/20cgBGEJaZa3ydDs02/7gZwgnMKI18wimXOFNkQRplbEr67y4OxEjD3ayu9V\n"
                              "dRDKQhNwAkhsfViBVrOOW3CKmSR0RK3gLc1CIjySMxXcZp/GxjWlOqKG7mVcM/Ct\n"
                              "iPN2m4+3AVJAFu4npnb/pUtyW+Ls\n"
                              "-----END CERTIFICATE REQUEST-----\n";
