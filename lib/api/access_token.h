/* What lets a new node join, or a person use the API: a text to copy from one terminal to another.
 *
 *     quilt1-<pin>[.<pin>]-<id>-<secret>
 *
 *     pin     SHA-256 of the SubjectPublicKeyInfo of the cluster's CA, in base32: 52 characters.
 *             Two while the CA is being replaced. Whoever has the token knows by it that it is the
 *             right control plane that answers, before showing it the secret.
 *     id      8 of [a-z0-9]: names the token in lists and logs, for everybody to see
 *     secret  16 random bytes in base32: 26 characters. Only its SHA-256 is stored.
 *
 * Pure but for the random numbers.
 */
#pragma once

#include <stddef.h>

#include "lib/base/base32.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"

#define ACCESS_TOKEN_PINS_MAX 2
#define ACCESS_TOKEN_ID_SIZE 9 /* 8 characters and the NUL */
#define ACCESS_TOKEN_SECRET_BYTES 16
#define ACCESS_TOKEN_TEXT_SIZE                                                  \
    (sizeof "quilt1-" + ACCESS_TOKEN_PINS_MAX * (BASE32_LEN(SHA256_SIZE) + 1) + \
     ACCESS_TOKEN_ID_SIZE + BASE32_LEN(ACCESS_TOKEN_SECRET_BYTES))

struct access_token {
    struct sha256 pins[ACCESS_TOKEN_PINS_MAX];
    size_t pin_count; /* 1 or 2 */
    char id[ACCESS_TOKEN_ID_SIZE];
    unsigned char secret[ACCESS_TOKEN_SECRET_BYTES];
};

/* A new id and secret. pin_count is 1 or 2. */
void access_token_make(const struct sha256 *pins, size_t pin_count, struct access_token *ret_token);
void access_token_format(const struct access_token *token,
                         char ret_text[static ACCESS_TOKEN_TEXT_SIZE]);
/* -EINVAL with a text that says what is wrong with it and never quotes it. */
int access_token_parse(const char *text, struct access_token *ret_token);
/* What is stored of the secret, and compared (sha256_equal()). */
struct sha256 access_token_secret_sha256(const struct access_token *token);
/* Overwrites it. */
void access_token_wipe(struct access_token *token);

#define AUTO_ACCESS_TOKEN CLEANUP(access_token_wipe)
