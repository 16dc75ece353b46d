/* Access tokens: read, written, made. */
#include "lib/api/access_token.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/random.h"

#define PREFIX "quilt1-"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define PIN_LEN BASE32_LEN(SHA256_SIZE)
#define ID_LEN (sizeof(((struct access_token *)0)->id) - 1)

/* 36 do not go into 256: what is above the last whole 36 is drawn again. */
static char draw_letter(void)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char byte;

    do
        random_bytes(&byte, 1);
    while (byte >= 256 / 36 * 36);
    return alphabet[byte % 36];
}

void access_token_make(const struct sha256 *pins, size_t pin_count, struct access_token *ret_token)
{
    struct access_token token = {.pin_count = pin_count};

    assert(pin_count >= 1 && pin_count <= ACCESS_TOKEN_PINS_MAX);
    memcpy(token.pins, pins, pin_count * sizeof pins[0]);
    for (size_t i = 0; i < ID_LEN; i++)
        token.id[i] = draw_letter();
    random_bytes(token.secret, sizeof token.secret);
    *ret_token = token;
    access_token_wipe(&token);
}

void access_token_format(const struct access_token *token,
                         char ret_text[static ACCESS_TOKEN_TEXT_SIZE])
{
    char *at = ret_text + PREFIX_LEN;

    memcpy(ret_text, PREFIX, PREFIX_LEN);
    for (size_t i = 0; i < token->pin_count; i++) {
        if (i > 0)
            *at++ = '.';
        base32_encode(token->pins[i].bytes, SHA256_SIZE, at);
        at += PIN_LEN;
    }
    *at++ = '-';
    memcpy(at, token->id, ID_LEN);
    at += ID_LEN;
    *at++ = '-';
    base32_encode(token->secret, sizeof token->secret, at);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A part of the text, between its separators. */
struct part {
    const char *at;
    size_t n;
};

/* Takes what is in front of the separator off the text. false when there is no separator. */
static bool take_part(const char **text, char separator, struct part *ret_part)
{
    const char *end = strchr(*text, separator);

    if (!end)
        return false;
    *ret_part = (struct part){*text, (size_t)(end - *text)};
    *text = end + 1;
    return true;
}

static int read_base32(struct part part, const char *what, void *ret_bytes, size_t n)
{
    int r = base32_decode(part.at, part.n, ret_bytes, n);

    if (r == BASE32_BAD_LENGTH)
        return err_fail(EINVAL,
                        "its %s has %zu characters instead of %zu: it was cut, or something "
                        "was added",
                        what, part.n, BASE32_LEN(n));
    if (r == BASE32_BAD_CHARACTER)
        return err_fail(EINVAL,
                        "its %s has a character that is not of a to z (lower case) and 2 to "
                        "7",
                        what);
    if (r == BASE32_LEFT_OVER)
        return err_fail(EINVAL, "its %s ends in a wrong character", what);
    return 0;
}

static int read_pins(struct part part, struct access_token *token)
{
    const char *dot = memchr(part.at, '.', part.n);
    size_t first = dot ? (size_t)(dot - part.at) : part.n;
    int r = read_base32((struct part){part.at, first}, "pin", token->pins[0].bytes, SHA256_SIZE);

    token->pin_count = dot ? 2 : 1;
    if (r < 0 || !dot)
        return r;
    return read_base32((struct part){dot + 1, part.n - first - 1}, "second pin",
                       token->pins[1].bytes, SHA256_SIZE);
}

static int read_id(struct part part, struct access_token *token)
{
    if (part.n != ID_LEN)
        return err_fail(EINVAL, "its id has %zu characters instead of %zu", part.n, ID_LEN);
    for (size_t i = 0; i < ID_LEN; i++) {
        char c = part.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return err_fail(EINVAL, "its id has a character that is not of a to z (lower case) and "
                                    "0 to 9");
        token->id[i] = c;
    }
    token->id[ID_LEN] = '\0';
    return 0;
}

static int read_token(const char *text, struct access_token *token)
{
    struct part pins, id;
    int r;

    if (text[0] == '\0')
        return err_fail(EINVAL, "it is empty");
    if (strncmp(text, PREFIX, PREFIX_LEN) != 0)
        return err_fail(EINVAL, "it does not begin with " PREFIX);
    text += PREFIX_LEN;
    if (!take_part(&text, '-', &pins) || !take_part(&text, '-', &id))
        return err_fail(EINVAL, "it is cut off: whole, it is " PREFIX "PIN-ID-SECRET");
    r = read_pins(pins, token);
    if (r == 0)
        r = read_id(id, token);
    if (r == 0)
        r = read_base32((struct part){text, strlen(text)}, "secret", token->secret,
                        sizeof token->secret);
    return r;
}

int access_token_parse(const char *text, struct access_token *ret_token)
{
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};
    int r = read_token(text, &token);

    if (r < 0)
        return err_wrap(r, "token");
    *ret_token = token;
    return 0;
}

struct sha256 access_token_secret_sha256(const struct access_token *token)
{
    return sha256_of(token->secret, sizeof token->secret);
}

void access_token_wipe(struct access_token *token)
{
    explicit_bzero(token, sizeof *token);
}
