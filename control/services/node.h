/* One node as the control plane knows it: what is stored of it, and its place in memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/services/book.h"
#include "control/services/monitor.h"
#include "control/services/pace.h"
#include "control/services/witness.h"
#include "lib/api/heartbeat.h"
#include "lib/base/digest.h"
#include "lib/base/hash.h"

#define NODE_KIND "node"

struct registry_change;

/* What is stored. */
struct node_facts {
    struct api_node api;
    bool has_left;      /* deregistered: it must register before it is heard again */
    bool holds_address; /* whoever registers from api.host_ip without a token is this node. Lost to
                         * the node that comes to the address while this one is down. */
    int64_t generation; /* raised by each registration of one that knows of generations, */
    char instance_id[UUID_TEXT_SIZE]; /* unless it is of this process again; "": of none known */
    char home_id[UUID_TEXT_SIZE];     /* where that runs; "": not known */
    char token_sha256[SHA256_HEX_SIZE];
    char key_sha256[SHA256_HEX_SIZE]; /* of the key that its certificate is for; "": none */
};

/* Somebody else who would be the node while it is up. Not stored. */
struct node_suitor {
    char instance_id[UUID_TEXT_SIZE]; /* "": nobody */
    bool is_twin;                     /* the node has been heard since: both are alive */
    bool is_told;                     /* to the operator */
};

struct node {
    struct node_facts facts;
    uint64_t revision; /* of its record */
    uint32_t subnet_index;
    struct monitor_entry watch;
    int64_t heard_ms; /* its latest sign of life, whatever it was forgiven since */
    struct node_suitor suitor;
    char heir_id[UUID_TEXT_SIZE]; /* the process that was let in after facts.instance_id and may not
                                   * be stored yet; "": none since the node was heard. Not stored */
    bool is_unknown; /* it counts as up, but has not been heard: since the control plane's start,
                      * or when that began to doubt. Not stored */
    int64_t downs_since_ms; /* when it was marked down first, of those that are counted */
    unsigned int downs;
    struct api_heartbeat report; /* what its latest heartbeat said; not stored */
    struct book book;            /* what it has told of the others; so are the next */
    struct witness_standing standing;
    struct witnesses witnesses; /* what they have told of it */
    int64_t contested_ms;  /* when somebody else would have been it, or had its address; 0: never */
    int64_t haste_ms;      /* when it was last marked down for that; 0: never */
    struct sha256 ca_spki; /* of the CA of the certificate that it showed last; not stored */
    struct pace pace;      /* of its requests; not stored */
    struct registry_change *change; /* in flight; NULL: none */
    char *json;                     /* as the API shows it; owned */
    size_t json_len;
    size_t beat_offset; /* of the ten digits of last_heartbeat in json */
    UT_hash_handle by_id;
    UT_hash_handle by_address;
    UT_hash_handle by_token;
    struct node *prev, *next; /* in the order of registration */
};

/* The stored form: the API's members, and ours behind them. */
char *node_facts_to_json(const struct node_facts *facts);
int node_facts_from_json(const char *text, struct node_facts *ret_facts);
/* Whether they say the same, last_heartbeat aside. */
bool node_facts_equal(const struct node_facts *a, const struct node_facts *b);

/* Appends what a list shows of the node. */
void node_to_list_json(const struct node *node, struct strbuf *out);
/* Appends what the API shows of one node: the list's members, and what its agent reported. */
void node_to_json(const struct node *node, struct strbuf *out);

struct node *node_new(const struct node_facts *facts);
void node_free(struct node *node);
/* Takes over other facts and makes the JSON anew; the later last_heartbeat wins. */
void node_set_facts(struct node *node, const struct node_facts *facts);
/* It is marked down for its silence; whether that is news to an operator: the third time within
 * five minutes. The count begins anew then. */
bool node_note_down(struct node *node, int64_t now_ms);
/* Writes the time of the last beat into facts and JSON; whether that changed them. */
bool node_set_heartbeat(struct node *node, int64_t unix_s);
