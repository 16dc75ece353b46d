/* GET /api/backup: the whole store as a file, while it is in use. */
#include "control/api/backup.h"

#include "control/api/answer.h"
#include "control/control.h"
#include "lib/base/log.h"

static void on_gone(void *data)
{
    struct backup *b = data;

    b->request = NULL;
}

void backup_deinit(struct backup *b)
{
    store_copy_deinit(&b->copy);
    *b = (struct backup){0};
}

/* The body takes the bytes over. */
static void answer(struct http_request *request, struct store_copy *copy)
{
    struct http_body *body;

    if (!copy->bytes) {
        http_reply_problem(request, 500, "%s", copy->error);
        return;
    }
    body = http_body_take(TAKE_PTR(copy->bytes), copy->n);
    http_reply_header(request, "Cache-Control", "no-store");
    http_reply_body(request, 200, "application/vnd.sqlite3", body);
    http_body_unref(body);
}

/* The copy is made, or is not to be had. */
static void on_outcome(struct store_change *set, void *data)
{
    struct backup *b = CONTAINER_OF(set, struct backup, set);

    if (b->copy.error)
        log_error("no backup could be made", LOG_S("error", b->copy.error));
    else
        log_info("backup made", LOG_U("bytes", b->copy.n));
    if (b->request)
        answer(b->request, &b->copy);
    backup_deinit(b);
}

void backup_show(struct http_request *request, void *data)
{
    struct control *c = data;
    struct backup *b = &c->backup;

    if (!c->pki && !http_request_is_local(request)) {
        http_reply_problem(request, 403, "a backup is given to the control plane's own host only");
        return;
    }
    if (answer_if_stopping(request, c))
        return;
    if (b->is_under_way) {
        http_reply_header(request, "Retry-After", "1");
        http_reply_problem(request, 503, "another backup is being made; try again");
        return;
    }
    *b = (struct backup){.is_under_way = true, .request = request};
    b->set.copy = &b->copy;
    b->set.on_outcome = on_outcome;
    http_request_on_gone(request, on_gone, b);
    writer_submit(c->writer, &b->set);
}
