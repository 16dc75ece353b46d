/* What somebody has given in the place of a key or a certificate. */
#include <string.h>

#include "lib/tls/internal.h"

#define SWAPPED "; are certificate and key swapped?"
#define DER_SEQUENCE "\x30\x82"

struct sign {
    const char *mark;
    const char *words;
};

static const struct sign signs_for_key[] = {
    {"ENCRYPTED", "it is encrypted, and nobody is there to type the passphrase; "
                  "'openssl pkey -in FILE -out NEWFILE' takes it off"},
    {"-----BEGIN CERTIFICATE-----", "it is a certificate" SWAPPED},
    {"PUBLIC KEY-----", "it is a public key"},
};

static const struct sign signs_for_cert[] = {
    {"PRIVATE KEY-----", "it is a private key" SWAPPED},
    {"CERTIFICATE REQUEST-----", "it is a request for a certificate, which a CA has yet to sign"},
};

static bool has(const char *text, size_t n, const char *mark)
{
    return memmem(text, n, mark, strlen(mark)) != NULL;
}

static const char *find(const char *text, size_t n, const struct sign *signs, size_t count)
{
    if (n == 0)
        return "it is empty";
    if (n > 2 && memcmp(text, DER_SEQUENCE, 2) == 0)
        return "it is in DER, and has to be in PEM";
    for (size_t i = 0; i < count; i++)
        if (has(text, n, signs[i].mark))
            return signs[i].words;
    return NULL;
}

const char *tls_pem_words(const char *text, size_t n, enum tls_pem wanted)
{
    return wanted == TLS_PEM_KEY ? find(text, n, signs_for_key, ARRAY_LEN(signs_for_key))
                                 : find(text, n, signs_for_cert, ARRAY_LEN(signs_for_cert));
}
