/* Registering, and with it the node's certificate: got, kept, renewed. */
#include <string.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/job.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

/* ---- when ---------------------------------------------------------------------------------- */

static bool is_renewing(const struct control_client *c)
{
    return c->is_certifying && papers_are_own(c->config.papers);
}

void register_plan_renewal(struct control_client *c)
{
    int64_t wait_s = c->is_renewal_due ? 0 : c->renew_at - client_now_s(c);

    if (!c->config.papers || !is_renewing(c) || beat_is_switching(c))
        return;
    if (!c->config.papers->cert || wait_s < 0)
        wait_s = 0;
    control_machine_set_renewal(&c->machine, clock_boot_ms() + wait_s * 1000);
}

/* Whether to ask for a certificate when registering anyway. */
static bool wants_cert(const struct control_client *c, const struct job *job)
{
    const struct papers *papers = c->config.papers;
    const struct tls_names names = {.addrs = &c->config.host_ip, .addr_count = 1};

    if (!papers || !papers_are_own(papers))
        return false;
    return job->kind == CONTROL_RENEW || job->shown != CREDENTIAL_CERT || !papers->cert ||
           c->renew_at <= client_now_s(c) || !tls_cert_covers(papers->cert, &names);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* Whoever was shut out may have been so because others know what proves it. Once: a second attempt
 * to join, after a lost answer, has to be with the same token. */
static void break_with_the_past(struct control_client *c, const struct job *job)
{
    const char *token = c->config.identity->node_token;

    if (job->shown == CREDENTIAL_ACCESS_TOKEN && token[0] &&
        strcmp(token, c->config.new_token) == 0) {
        c->config.events->disowned(c->config.data);
        client_use_papers(c); /* the file of the certificate is gone */
        credentials_renew(&c->credentials, CREDENTIAL_CERT, false);
    }
}

static int fill_register(struct control_client *c, struct job *job, struct ask *ask)
{
    const struct api_register_reply *me = c->config.identity;
    AUTO_FREE char *csr = NULL;
    struct api_register_request request = {
        .hostname = c->config.hostname,
        .host_ip = c->config.host_ip,
        .cpu_cores = c->config.cpu_cores,
        .ram_mb = c->config.ram_mb,
        .node_id = me->node_id[0] ? me->node_id : NULL,
        .node_token = me->node_token[0] ? me->node_token : NULL,
        .new_token = c->config.new_token,
        .instance_id = c->config.instance_id,
        .home_id = c->config.home_id,
        .subnet = me->subnet,
        .known = me->origin,
        .generation = me->generation,
    };
    int r = 0;

    break_with_the_past(c, job);
    job->is_cert_wanted = wants_cert(c, job);
    if (job->is_cert_wanted)
        r = papers_request(c->config.papers, &csr);
    request.csr = csr;
    ask->body = api_register_request_to_json(&request);
    return r;
}

/* ---- what comes back ----------------------------------------------------------------------- */

/* A cluster's network that holds our own address would lead the underlay's packets into itself. */
static int check_own_address(const struct control_client *c, const struct api_register_reply *reply)
{
    char ip[IP4_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    if (!ip4_prefix_contains(reply->cluster.cidr, c->config.host_ip))
        return 0;
    return err_fail(EINVAL, "cluster_cidr: %s holds this node's own host IP %s",
                    ip4_prefix_format(reply->cluster.cidr, cidr),
                    ip4_format(c->config.host_ip, ip));
}

/* The reply borrows from the value, which the caller frees. */
static int read_registration(const struct control_client *c, const struct http_response *response,
                             json_t **ret_value, struct api_register_reply *ret)
{
    int r = json_parse(response->body, response->body_len, ret_value);

    if (r == 0)
        r = api_register_reply_from_json(*ret_value, ret);
    return r < 0 ? r : check_own_address(c, ret);
}

/* 0, -ENOENT: there is none, or another failure with a text. */
static int take_cert(struct control_client *c, const struct api_register_reply *reply)
{
    int r = reply->certificate ? papers_take_cert(c->config.papers, reply->certificate)
                               : err_fail(ENOENT, "the answer has no certificate");

    if (r < 0)
        return r;
    c->renew_at = tls_cert_renew_at(tls_cert_facts(c->config.papers->cert), random_u64());
    c->is_renewal_due = false;
    return 0;
}

static void take_cas(struct control_client *c, const struct api_register_reply *reply)
{
    bool is_new = false;

    if (reply->ca && papers_take_cas(c->config.papers, reply->ca, &is_new) < 0)
        log_error("the control plane's CAs cannot be kept", LOG_ERR());
    if (is_new)
        authority_tell_new(c);
}

/* Who has no stream yet has nothing to lose by a new connection. */
static void begin_to_use(struct control_client *c)
{
    if (c->machine.is_stream_up)
        control_machine_want(&c->machine, CONTROL_SWITCH, clock_boot_ms());
    else
        client_use_papers(c);
}

static void take_papers(struct control_client *c, const struct api_register_reply *reply,
                        bool was_asked)
{
    if (!c->config.papers)
        return;
    c->is_certifying = reply->ca != NULL;
    c->is_barred = false;
    take_cas(c, reply);
    if (!was_asked || !c->is_certifying)
        return;
    if (take_cert(c, reply) == 0) {
        begin_to_use(c);
        return;
    }
    c->renew_at = 0; /* soon */
    log_error("the certificate cannot be used; the node's token is shown instead", LOG_ERR());
}

static void registered(struct control_client *c, struct job *job,
                       const struct api_register_reply *reply)
{
    c->registrations++;
    job_note_success(job);
    control_machine_set_intervals(&c->machine, reply->cluster.heartbeat_ms,
                                  reply->cluster.peer_sync_ms);
    take_papers(c, reply, job->is_cert_wanted);
    c->config.events->registered(c->config.data, reply);
    if (reply->node_token[0])
        credentials_renew(&c->credentials, CREDENTIAL_NODE_TOKEN, c->config.papers != NULL);
    job_finish(job, CONTROL_OK);
    register_plan_renewal(c);
}

static void on_register(struct control_client *c, struct job *job,
                        const struct http_response *response)
{
    AUTO_JSON json_t *value = NULL;
    struct api_register_reply reply;
    int r = read_registration(c, response, &value, &reply);

    if (r < 0)
        job_fail(job, CONTROL_REFUSED,
                 mem_printf("register: the answer is unusable: %s", err_text()));
    else if (!job_believes(job, &reply.origin))
        job_finish(job, CONTROL_FOREIGN);
    else
        registered(c, job, &reply);
}

static int check_renewal(const struct control_client *c, const struct api_register_reply *reply)
{
    if (strcmp(reply->node_id, c->config.identity->node_id) == 0)
        return 0;
    return err_fail(EINVAL, "the answer is for node %s, this is node %s", reply->node_id,
                    c->config.identity->node_id);
}

static void on_renewal(struct control_client *c, struct job *job,
                       const struct http_response *response)
{
    AUTO_JSON json_t *value = NULL;
    struct api_register_reply reply;
    int r = read_registration(c, response, &value, &reply);

    if (r == 0)
        r = check_renewal(c, &reply);
    if (r == 0)
        r = take_cert(c, &reply);
    if (r < 0) {
        job_fail(job, CONTROL_REFUSED, mem_printf("renew the certificate: %s", err_text()));
        return;
    }
    c->renewals++;
    take_cas(c, &reply);
    job_note_success(job);
    control_machine_want(&c->machine, CONTROL_SWITCH, clock_boot_ms());
    job_finish(job, CONTROL_OK);
}

/* ------------------------------------------------------------------------------------------- */

static char *register_path(const struct control_client *c)
{
    return mem_strdup("/api/nodes/register");
}

const struct job_type job_register = {"POST", JOB_CALL_TIMEOUT_MS, register_path, fill_register,
                                      on_register};
const struct job_type job_renew = {"POST", JOB_CALL_TIMEOUT_MS, register_path, fill_register,
                                   on_renewal};
