/* Probes, to and from JSON. */
#include "lib/api/probe.h"

#include <assert.h>
#include <string.h>

#include "lib/api/fields.h"
#include "lib/base/error.h"

#define MS_MAX INT64_C(1000000000)
#define US_MAX INT64_C(1000000000)
#define BYTES_MAX 65535

static const char *const words[] = {
    [API_PROBE_UNHEARD] = "unheard",
    [API_PROBE_REACHED] = "reached",
    [API_PROBE_SILENT] = "silent",
    [API_PROBE_LOST] = "lost",
};
static_assert(ARRAY_LEN(words) == API_PROBE_STATE_COUNT, "each state has its word");

const char *api_probe_state_word(enum api_probe_state state)
{
    return words[state];
}

static int read_state(const json_t *object, enum api_probe_state *ret_state)
{
    const char *text;
    int r = json_get_string(object, "state", &text);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *ret_state = (enum api_probe_state)i;
        return 0;
    }
    return err_fail(EINVAL, "state: must be unheard, reached, silent or lost");
}

static int read_numbers(const json_t *object, struct api_probe *probe)
{
    const struct {
        const char *key;
        int64_t max;
        int64_t *value;
    } numbers[] = {
        {"silent_ms", MS_MAX, &probe->silent_ms},
        {"overlay_silent_ms", MS_MAX, &probe->overlay_silent_ms},
        {"underlay_us", US_MAX, &probe->underlay.mean_us},
        {"underlay_min_us", US_MAX, &probe->underlay.min_us},
        {"underlay_loss", 100, &probe->underlay.loss_percent},
        {"overlay_us", US_MAX, &probe->overlay.mean_us},
        {"overlay_min_us", US_MAX, &probe->overlay.min_us},
        {"overlay_loss", 100, &probe->overlay.loss_percent},
        {"largest_bytes", BYTES_MAX, &probe->largest_bytes},
        {"wanted_bytes", BYTES_MAX, &probe->wanted_bytes},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++) {
        *numbers[i].value = -1;
        r = field_get_optional_int(object, numbers[i].key, numbers[i].max, numbers[i].value);
    }
    return r;
}

static int read_watched(const json_t *object, bool *ret_is_watched)
{
    int r = json_get_bool(object, "watched", ret_is_watched);

    return r == -ENOENT ? 0 : r;
}

int api_probe_from_json(const json_t *object, struct api_probe *ret_probe)
{
    struct api_probe probe = {.is_watched = false};
    int r = field_require_object(object);

    if (r == 0)
        r = field_get_uuid(object, "node_id", probe.node_id);
    if (r == 0)
        r = read_watched(object, &probe.is_watched);
    if (r == 0)
        r = read_state(object, &probe.state);
    if (r == 0)
        r = read_numbers(object, &probe);
    if (r < 0)
        return r == -ENOENT ? -EINVAL : r;
    *ret_probe = probe;
    return 0;
}

int api_probes_from_json(const json_t *object, struct api_probe *ret_probes, size_t *ret_count)
{
    const json_t *array = NULL;
    int r = json_get_array(object, "probes", &array);
    size_t count;

    *ret_count = 0;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    count = json_array_size(array);
    if (count > API_PROBES_MAX)
        return err_fail(EINVAL, "probes: more than %d", API_PROBES_MAX);
    for (size_t i = 0; i < count; i++) {
        r = api_probe_from_json(json_array_get(array, i), &ret_probes[i]);
        if (r < 0)
            return err_wrap(r, "probes[%zu]", i);
    }
    *ret_count = count;
    return 0;
}

void api_probe_to_json(const struct api_probe *p, struct strbuf *out)
{
    strbuf_addf(out, "{\"node_id\":\"%s\",\"watched\":%s,\"state\":\"%s\"", p->node_id,
                p->is_watched ? "true" : "false", words[p->state]);
    field_add_int(out, "silent_ms", p->silent_ms);
    field_add_int(out, "overlay_silent_ms", p->overlay_silent_ms);
    field_add_int(out, "underlay_us", p->underlay.mean_us);
    field_add_int(out, "underlay_min_us", p->underlay.min_us);
    field_add_int(out, "underlay_loss", p->underlay.loss_percent);
    field_add_int(out, "overlay_us", p->overlay.mean_us);
    field_add_int(out, "overlay_min_us", p->overlay.min_us);
    field_add_int(out, "overlay_loss", p->overlay.loss_percent);
    field_add_int(out, "largest_bytes", p->largest_bytes);
    field_add_int(out, "wanted_bytes", p->wanted_bytes);
    strbuf_adds(out, "}");
}
