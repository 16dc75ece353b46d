/* One client in a loop of its own, for tests. What its callbacks saw is written down and looked at
 * when the loop is over. */
#pragma once

#include "lib/base/loop.h"
#include "lib/http/client.h"
#include "tests/unit/http/bed.h"

struct user {
    struct bed *bed;
    struct loop *loop;
    struct http_client *client;
    struct http_call *call;
    struct loop_source *guard;
    bool is_late;
    unsigned int done_count, chunk_count;
    int error;
    unsigned int status;
    int64_t retry_after_s;
    struct strbuf body, detail, etag, chunks;
};

/* The bed is started before, and stopped with it. */
struct user *user_start(struct bed *bed, const struct http_client_config *config);
void user_stop(struct user *user);

void keep(struct user *user, const struct http_response *response);
/* As http_done_fn and http_chunk_fn; data is the user. */
void keep_and_exit(const struct http_response *response, void *data);
bool keep_chunk(const char *bytes, size_t n, void *data);

/* Caller frees. */
char *url_of(const struct user *user, const char *path);
/* Starts a call of this path of the bed; url and data are filled in. */
void call(struct user *user, const char *path, struct http_request_spec spec);
/* Until loop_exit(), 10 s at most. */
void run(struct user *user);
