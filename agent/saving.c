/* What the agent remembers, to the disk and back. */
#include "agent/saving.h"

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define DELAY_MS 500
#define AGAIN_MS 5000

/* ---- saving -------------------------------------------------------------------------------- */

static void note_result(struct saving *s, int r)
{
    if (r < 0 && (!s->problem || strcmp(s->problem, err_text()) != 0))
        log_error("state", LOG_S("problem", err_text()));
    if (r == 0 && s->problem)
        log_info("state is saved again", LOG_S("was", s->problem));
    free(TAKE_PTR(s->problem));
    if (r < 0)
        s->problem = mem_strdup(err_text());
}

/* Read again, one that was replaced would be as good as who replaced it. */
static bool is_kept(const struct peer *peer)
{
    return peer && peer->verdict != PEER_REPLACED;
}

static struct agent_found found_of(const struct peer *peer)
{
    struct agent_found found = {.bytes = peer->found_bytes};

    memcpy(found.node_id, peer->node.node_id, sizeof found.node_id);
    return found;
}

/* While none is known, those that were known last may be wanted yet. */
static void note_ca_pins(struct agent *a)
{
    if (a->papers && a->papers->config.ca_file)
        a->state.ca_pins.count = 0;
    else if (a->papers && a->papers->trust)
        a->state.ca_pins = tls_trust_pins(a->papers->trust);
}

static int save_whole(struct agent *a)
{
    size_t room = peers_count(&a->peers) + 1;
    AUTO_FREE struct api_node *nodes = mem_array(room, sizeof *nodes);
    AUTO_FREE struct agent_found *found = mem_array(room, sizeof *found);
    AUTO_SECRET char *json = NULL; /* the node's token is in it */
    struct agent_state *state = &a->state;
    const struct peer *peer, *next;
    int r;

    state->peers = nodes;
    state->found = found;
    HASH_ITER (hh, a->peers.by_id, peer, next) {
        if (!is_kept(peer))
            continue;
        nodes[state->peer_count++] = peer->node;
        if (peer->found_bytes > 0)
            found[state->found_count++] = found_of(peer);
    }
    note_ca_pins(a);
    json = agent_state_to_json(state);
    r = state_file_save(&a->file, json);
    state->peers = NULL;
    state->found = NULL;
    state->peer_count = state->found_count = 0;
    return r;
}

/* STATE_FILE_SAVE_FIRST: the whole is to be saved. */
static int save_change(struct agent *a)
{
    struct saving *s = &a->saving;
    AUTO_FREE struct api_node *nodes = mem_array(s->count + 1, sizeof *nodes);
    AUTO_FREE const char **gone = mem_array(s->count + 1, sizeof(const char *));
    struct agent_change change = {
        .revision = a->state.identity.origin.revision, .peers = nodes, .gone = gone};
    AUTO_FREE char *json = NULL;

    for (size_t i = 0; i < s->count; i++) {
        const struct peer *peer = peers_find(&a->peers, s->node_ids[i]);

        if (is_kept(peer))
            nodes[change.peer_count++] = peer->node;
        else
            gone[change.gone_count++] = s->node_ids[i];
    }
    json = agent_change_to_json(&change);
    return state_file_append(&a->file, json);
}

static void save(struct agent *a)
{
    struct saving *s = &a->saving;
    int r = STATE_FILE_SAVE_FIRST;

    if (s->is_over)
        return;
    if (!s->is_whole && !a->peers.is_replacing)
        r = save_change(a);
    if (r == STATE_FILE_SAVE_FIRST)
        r = save_whole(a);
    note_result(s, r);
    loop_timer_disarm(s->timer);
    s->count = 0;
    s->is_whole = r < 0;
    a->peers.is_replacing = false;
    if (r < 0)
        loop_timer_set_in(s->timer, AGAIN_MS);
}

static void on_timer(void *data)
{
    save(data);
}

static void arm(struct saving *s)
{
    if (!s->is_over && !loop_timer_is_armed(s->timer))
        loop_timer_set_in(s->timer, DELAY_MS);
}

void saving_soon(struct agent *a)
{
    a->saving.is_whole = true;
    arm(&a->saving);
}

static bool has_node(const struct saving *s, const char *node_id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->node_ids[i], node_id) == 0)
            return true;
    return false;
}

void saving_node_soon(struct agent *a, const char *node_id)
{
    struct saving *s = &a->saving;

    arm(s);
    if (s->is_whole || has_node(s, node_id))
        return;
    if (s->count == SAVING_NODES_MAX)
        s->is_whole = true;
    else
        (void)snprintf(s->node_ids[s->count++], UUID_TEXT_SIZE, "%s", node_id);
}

void saving_now(struct agent *a)
{
    a->saving.is_whole = true;
    save(a);
}

void saving_finish(struct agent *a)
{
    if (a->saving.timer &&
        (loop_timer_is_armed(a->saving.timer) || state_file_has_changes(&a->file)))
        saving_now(a);
}

int saving_erase(struct agent *a)
{
    a->saving.is_over = true;
    loop_timer_disarm(a->saving.timer);
    return state_file_erase(&a->file);
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Peers do not stay in the state. */
static void take_peers(struct agent *a)
{
    struct agent_state *state = &a->state;

    for (size_t i = 0; i < state->peer_count; i++)
        (void)peers_take_node(&a->peers, &state->peers[i]);
    for (size_t i = 0; i < state->found_count; i++)
        (void)peers_note_found(&a->peers, state->found[i].node_id, state->found[i].bytes);
    free(TAKE_PTR(state->peers));
    free(TAKE_PTR(state->found));
    state->peer_count = state->found_count = 0;
}

static int read_save(const json_t *content, void *data)
{
    struct agent *a = data;
    int r = agent_state_from_json(content, &a->state);

    if (r == 0)
        take_peers(a);
    return r;
}

static int read_change(const json_t *record, void *data)
{
    struct agent *a = data;
    struct api_origin *origin = &a->state.identity.origin;
    struct agent_change change;
    int r = agent_change_from_json(record, &change);

    if (r < 0)
        return r;
    for (size_t i = 0; i < change.gone_count; i++)
        (void)peers_take_deleted(&a->peers, change.gone[i]);
    for (size_t i = 0; i < change.peer_count; i++)
        (void)peers_take_node(&a->peers, &change.peers[i]);
    if (origin->cluster_id[0] && change.revision > origin->revision)
        origin->revision = change.revision;
    agent_change_deinit(&change);
    return 0;
}

int saving_load(struct agent *a)
{
    const struct state_file_reader reader = {.save = read_save, .change = read_change, .data = a};
    int outcome = state_file_load(&a->file, &reader);

    a->peers.is_replacing = false;
    return outcome;
}

/* ---- life ---------------------------------------------------------------------------------- */

int saving_init(struct agent *a)
{
    return loop_add_timer(a->daemon.loop, on_timer, a, &a->saving.timer);
}

void saving_deinit(struct agent *a)
{
    struct saving *s = &a->saving;

    loop_source_free(s->timer);
    free(s->problem);
    *s = (struct saving){0};
}
