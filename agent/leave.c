/* Leaving the mesh. */
#include "agent/leave.h"

#include "agent/control_client/answer.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Both below DAEMON_STOP_LIMIT_MS: on SIGTERM all has to be done by then. */
#define DEREGISTER_TIMEOUT_MS 2500
#define RUNTIME_TIMEOUT_MS 3000
/* For the answer to get out. */
#define EXIT_DELAY_MS 100

struct leave {
    struct agent *agent;
    struct http_request *requester; /* NULL: none, or gone */
    struct http_call *deregister;
    struct loop_source *exit;
    unsigned int waiting;
    struct strbuf failures; /* JSON strings, joined by commas */
};

static void note_failure(struct leave *l, const char *text)
{
    log_warn("leaving", LOG_S("problem", text));
    if (l->failures.len > 0)
        strbuf_adds(&l->failures, ",");
    strbuf_add_json(&l->failures, text);
}

static void on_exit_time(void *data)
{
    struct leave *l = data;

    loop_exit(l->agent->daemon.loop, 0);
}

static void answer(struct leave *l)
{
    AUTO_FREE char *json =
        mem_printf("{\"left\":true,\"failures\":[%s]}", l->failures.data ? l->failures.data : "");

    if (l->requester)
        http_reply_json(TAKE_PTR(l->requester), 200, json);
}

/* Nobody but an operator can tell it now: the node's token goes with the node. */
static void note_untold(struct leave *l, const char *why)
{
    AUTO_FREE char *text =
        mem_printf("%s; it may be a node there still: on the control plane's host, "
                   "quiltctl node rm %s",
                   why, l->agent->state.identity.node_id);

    note_failure(l, text);
}

/* The outside knows; now this host forgets. */
static void finish(struct leave *l)
{
    struct agent *a = l->agent;

    if (a->fastpath && fastpath_remove(a->fastpath) < 0)
        note_failure(l, err_text());
    if (overlay_remove(a->overlay) < 0)
        note_failure(l, err_text());
    a->has_identity = false;
    if (saving_erase(a) < 0)
        note_failure(l, err_text());
    if (a->papers && papers_erase(a->papers) < 0)
        note_failure(l, err_text());
    log_info("this node has left the mesh");
    answer(l);
    loop_timer_set_in(l->exit, EXIT_DELAY_MS);
}

static void step_done(struct leave *l)
{
    if (--l->waiting == 0)
        finish(l);
}

static void on_deregistered(const struct http_response *response, void *data)
{
    struct leave *l = data;
    AUTO_FREE char *problem = NULL;

    l->deregister = NULL;
    /* 404: it has forgotten us already. */
    if (response->error != 0 || (response->status != 200 && response->status != 404)) {
        problem = control_answer_problem("deregister", response);
        note_untold(l, problem);
    }
    step_done(l);
}

static void deregister(struct leave *l)
{
    struct agent *a = l->agent;
    AUTO_SECRET char *bearer = control_client_authorization(a->control);
    const char *const headers[] = {bearer, NULL};
    AUTO_FREE char *url = mem_printf("%s/api/nodes/%s/deregister", control_client_url(a->control),
                                     a->state.identity.node_id);
    const struct http_request_spec spec = {
        .method = "POST",
        .url = url,
        .body = "{}",
        .headers = bearer ? headers : NULL,
        .timeout_ms = DEREGISTER_TIMEOUT_MS,
        .done = on_deregistered,
        .data = l,
    };

    if (!a->has_identity)
        return;
    l->waiting++;
    if (http_client_start(a->http, &spec, &l->deregister) < 0) {
        note_untold(l, err_text());
        l->waiting--;
    }
}

static void on_runtime_left(const char *problem, void *data)
{
    struct leave *l = data;
    AUTO_FREE char *text = problem ? mem_printf("runtime: %s", problem) : NULL;

    if (text)
        note_failure(l, text);
    step_done(l);
}

static void on_requester_gone(void *data)
{
    struct leave *l = data;

    l->requester = NULL;
}

void leave_start(struct agent *a, struct http_request *requester)
{
    struct leave *l = NEW(struct leave);

    log_info("leaving the mesh");
    l->agent = a;
    l->requester = requester;
    a->leave = l;
    if (requester)
        http_request_on_gone(requester, on_requester_gone, l);
    control_client_stop(a->control);
    if (loop_add_timer(a->daemon.loop, on_exit_time, l, &l->exit) < 0) {
        log_error("leaving", LOG_ERR());
        loop_exit(a->daemon.loop, 1);
        return;
    }
    l->waiting = 1; /* this function itself */
    deregister(l);
    if (a->runtime) {
        l->waiting++;
        runtime_client_leave(a->runtime, RUNTIME_TIMEOUT_MS, on_runtime_left, l);
    }
    step_done(l);
}

void leave_free(struct leave *l)
{
    if (!l)
        return;
    if (l->deregister)
        http_call_cancel(l->deregister);
    loop_source_free(l->exit);
    strbuf_deinit(&l->failures);
    free(l);
}
