/* The control plane: as it answers this host, and as the agent finds it. */
#include <string.h>

#include "cli/doctor/checks.h"

static void add_barred(const struct facts *f, const json_t *control, struct findings *findings)
{
    bool has_joined = facts_text(f->agent, "node_id")[0] != '\0';

    findings_add(
        findings,
        (struct finding){
            .cause = "not-let-in",
            .severity = SEVERITY_ERROR,
            .what = mem_strdup(
                has_joined ? "the control plane takes nothing that this node has to show: it was "
                             "revoked or removed, or its access token is no good. Its peers do "
                             "not talk to it any more"
                           : "this node is not let in: its access token is no good"),
            .shows = mem_strdup(facts_text(control, "error")),
            .mend = mem_strdup("if it is to be let in: quiltctl token create on the control "
                               "plane's host; write that token into the file of this agent's "
                               "--token-file, or start the agent with it")});
}

/* Agent and control plane are not of one mind about what the mesh is. */
static void add_refused(const json_t *control, struct findings *findings)
{
    findings_add(
        findings,
        (struct finding){
            .cause = "control-plane-refused",
            .severity = SEVERITY_ERROR,
            .what = mem_strdup("agent and control plane do not accept each other: this node "
                               "goes on with what it knew"),
            .shows = mem_strdup(facts_text(control, "error")),
            .mend = mem_strdup("if the control plane is the right one: quiltctl node "
                               "accept-cluster; if the node is the clone of another, give "
                               "its agent a new access token and state")});
}

static const char *url_of(const struct facts *f)
{
    return f->control_url ? f->control_url : "";
}

/* What is said of packets was tried. Caller frees. */
static char *effect_on(const struct facts *f, const char *effect)
{
    for (size_t i = 0; i < f->path_count; i++)
        if (f->paths[i].answers_ping)
            return mem_printf("packets pass on, but %s", effect);
    return mem_strdup(effect);
}

static const char effect_on_all[] = "nobody can join or leave";
static const char effect_on_this[] = "this node hears of no changes, and cannot join or leave";

/* Asked by this program, and else by the agent. */
static char *words_of(const struct facts *f)
{
    const json_t *control = json_object_get(f->agent, "control_plane");

    return mem_strdup(f->control_error ? f->control_error : facts_text(control, "error"));
}

static void add_ill(const struct facts *f, struct findings *findings)
{
    AUTO_FREE char *effect = effect_on(f, effect_on_all);

    findings_add(
        findings,
        (struct finding){
            .cause = "control-plane-ill",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the control plane %s answers that it is not well: %s", url_of(f),
                               effect),
            .shows = words_of(f),
            .mend = mem_strdup("on its host: journalctl -u quilt-mesh-control says what it "
                               "lacks; where that is room, make some: df -h shows the "
                               "disk of its database, and it goes on by itself")});
}

static void add_untrusted(const struct facts *f, struct findings *findings)
{
    AUTO_FREE char *effect = effect_on(f, effect_on_this);

    findings_add(
        findings,
        (struct finding){
            .cause = "control-plane-untrusted",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("what answers at %s is not believed to be the control plane, and "
                               "is told nothing: %s",
                               url_of(f), effect),
            .shows = words_of(f),
            .mend =
                mem_strdup("if its certificate is not valid now: compare the clocks (timedatectl), "
                           "and if you gave the control plane its certificate (--tls-cert), renew "
                           "it; if it is of another CA, and the right "
                           "control plane: quiltctl token create on its host, and write that "
                           "token into the file of this agent's --token-file; else correct "
                           "the agent's --control-plane")});
}

/* Silence may be of the way from here alone. */
static void add_away(const struct facts *f, struct findings *findings)
{
    AUTO_FREE char *effect = effect_on(f, f->is_control_refusing ? effect_on_all : effect_on_this);

    findings_add(
        findings,
        (struct finding){
            .cause = "control-plane-away",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the control plane %s does not answer: %s", url_of(f), effect),
            .shows = words_of(f),
            .mend = mem_printf("%son its host: systemctl restart quilt-mesh-control; "
                               "journalctl -u quilt-mesh-control says why, where it ends "
                               "again%s",
                               f->is_control_refusing
                                   ? ""
                                   : "if quiltctl status on another node finds it well: see to its "
                                     "name here, if it has one (getent hosts), and to the way from "
                                     "here, TCP to its port must pass; else ",
                               f->is_control_refusing ? "; if it does not: is that still its host?"
                                                      : "")});
}

/* Without root, nobody knows whether it answers. */
static char *what_error(const struct facts *f)
{
    if (f->control_error)
        return mem_printf("what answers at %s does not answer as a control plane does", url_of(f));
    return mem_printf("the agent has trouble with the control plane %s%s", url_of(f),
                      f->is_control_unasked ? "" : ", which answers when asked how it is");
}

static void add_error(const struct facts *f, struct findings *findings)
{
    findings_add(findings, (struct finding){
                               .cause = "control-plane-error",
                               .severity = SEVERITY_ERROR,
                               .what = what_error(f),
                               .shows = words_of(f),
                               .mend = mem_strdup(
                                   "see to what it shows: journalctl -u quilt-mesh-agent here, "
                                   "journalctl -u quilt-mesh-control on its host; is there a proxy "
                                   "between them, or is the agent's --control-plane another's?")});
}

static bool is_agent_deceived(const struct facts *f)
{
    return json_is_true(json_object_get(json_object_get(f->agent, "control_plane"), "untrusted"));
}

/* A host that is cut off explains that nothing answers. What does answer, by loopback or another
 * device, is not explained by it. */
static bool is_explained_below(const struct facts *f)
{
    if (!facts_is_cut_off(f))
        return false;
    return f->control_error ? f->is_control_away : !is_agent_deceived(f);
}

/* The agent's word counts where it does not answer this program better. */
static void check_answer(const struct facts *f, struct findings *findings)
{
    if (f->is_control_ill)
        add_ill(f, findings);
    else if (f->is_control_away)
        add_away(f, findings);
    else if (f->is_control_untrusted || (!f->control_error && is_agent_deceived(f)))
        add_untrusted(f, findings);
    else
        add_error(f, findings);
}

void check_control(const struct facts *f, struct findings *findings)
{
    const json_t *control = json_object_get(f->agent, "control_plane");

    if (facts_is_barred(f)) {
        add_barred(f, control, findings);
        return;
    }
    if (strcmp(facts_text(control, "mode"), "refused") == 0) {
        add_refused(control, findings);
        return;
    }
    /* Without the agent, where the control plane is was guessed. */
    if (!f->agent || (!f->control_error && facts_text(control, "error")[0] == '\0'))
        return;
    if (!is_explained_below(f))
        check_answer(f, findings);
}
