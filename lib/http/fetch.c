/* One request and its answer, waited for: for tools that have no loop. */
#include "lib/base/error.h"
#include "lib/http/client_internal.h"

static int perform(struct transfer *t, struct http_reply *ret_reply)
{
    int error = transfer_error(t, curl_easy_perform(t->easy));

    ret_reply->was_asked = transfer_was_asked(t);
    if (error)
        return -error;
    ret_reply->status = transfer_status(t);
    ret_reply->body_len = t->body.len;
    ret_reply->body = strbuf_take(&t->body);
    return 0;
}

static int fetch(const struct http_client_config *config, const struct http_request_spec *spec,
                 struct http_reply *ret_reply)
{
    struct transfer t;
    int r = transfer_init(&t, config, spec);

    if (r < 0)
        return r;
    r = perform(&t, ret_reply);
    transfer_deinit(&t);
    return r;
}

int http_fetch(const struct http_client_config *config, const struct http_request_spec *spec,
               struct http_reply *ret_reply)
{
    int r;

    if (spec->chunk)
        return err_fail(EINVAL, "%s: streams need a loop", spec->url);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_fail(EIO, "libcurl does not start");
    r = fetch(config, spec, ret_reply);
    curl_global_cleanup();
    return r;
}

void http_reply_deinit(struct http_reply *reply)
{
    free(reply->body);
    *reply = (struct http_reply){0};
}
