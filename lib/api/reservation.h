/* Reservations: a subnet that is set aside for a host, as operators ask for it and see it. */
#pragma once

#include "lib/api/node.h"

struct api_reservation {
    char host[HOSTNAME_TEXT_SIZE]; /* api_reservation_host()'s form */
    struct ip4_prefix subnet;
    int64_t created_at; /* Unix seconds */
};

/* A host's name, in lower case, or its IPv4 address: the form in which two that mean the same are
 * equal. -EINVAL with a text that begins with "host:". */
int api_reservation_host(const char *text, char ret_host[static HOSTNAME_TEXT_SIZE]);
/* -EINVAL or -ENOENT with a text that names the member. */
int api_reservation_from_json(const json_t *object, struct api_reservation *ret_reservation);
/* What is asked for: the member subnet. */
int api_reservation_wish_from_json(const json_t *object, struct ip4_prefix *ret_subnet);
/* Appends the object. */
void api_reservation_to_json(const struct api_reservation *reservation, struct strbuf *out);
