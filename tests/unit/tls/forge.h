/* Certificates as no CA of ours makes them, and the bed that they are tried in. */
#pragma once

#include "lib/tls/ca.h"
#include "lib/tls/trust.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define OTHER_CLUSTER "0192f3a4-5b6c-7d8e-9f01-000000000000"
#define NODE "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"
#define NODE_URI "spiffe://" CLUSTER "/node/" NODE
#define NOW 1767225600 /* 2026-01-01 00:00:00 UTC */
#define HOUR 3600LL
#define DAY 86400LL

enum forge_purpose { FORGE_CLIENT = 1, FORGE_SERVER = 2, FORGE_OTHER = 4 };

/* What is zero is left out. */
struct forge_order {
    const char *name; /* CN; NULL: forged */
    const char *uris[3];
    const char *host;
    unsigned int purposes; /* of enum forge_purpose */
    bool has_no_usage;
    bool is_ca;
    bool has_odd_extension; /* critical, and nobody knows it */
    int64_t not_before;     /* 0: NOW - HOUR */
    int64_t not_after;      /* 0: NOW + DAY */
};

/* For the key; signed by the issuer, or by itself (NULL). */
struct tls_cert *forge_cert(const struct tls_key *key, const struct tls_ca *issuer,
                            const struct forge_order *order);
/* The same, by whoever has this certificate and key. */
struct tls_cert *forge_signed(const struct tls_key *key, const struct tls_cert *issuer,
                              const struct tls_key *issuer_key, const struct forge_order *order);
/* The certificate with one bit of its signature turned. */
struct tls_cert *forge_broken(const struct tls_cert *cert);
/* Owned by the caller. */
unsigned char *forge_der(const struct tls_cert *cert, size_t *ret_n);
