/* How often an address may show credentials that are none: ten at once, then one each tenth of a
 * second. Who guesses is slowed. Pure.
 *
 * Addresses share a fixed number of rows, so that an attacker of many addresses takes no memory; an
 * honest client that shares a row with one of them may be told to wait. Whoever counts guesses at
 * different things apart mixes that into the address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GUESSES_ROWS 1024
#define GUESSES_AT_ONCE 10
#define GUESSES_INTERVAL_MS 100

struct guesses {
    int64_t paid_until_ms[GUESSES_ROWS]; /* each guess moves it on by the interval */
    uint64_t salt;                       /* which addresses share a row is not for others to know */
};

/* A wrong guess. False: one too many, of which nothing more is said. */
bool guesses_note(struct guesses *guesses, uint32_t addr, int64_t now_ms);
/* Whether the address has to wait before anything it shows is looked at. */
bool guesses_must_wait(const struct guesses *guesses, uint32_t addr, int64_t now_ms);
