/* What every unit test of the runtime begins with. */
#pragma once

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

/* A literal network; the test ends when it is none. */
static inline struct ip4_prefix net(const char *text)
{
    struct ip4_prefix prefix = {0};

    assert_int_equal(ip4_prefix_parse(text, &prefix), 0);
    return prefix;
}

static inline uint32_t addr(const char *text)
{
    uint32_t value = 0;

    assert_int_equal(ip4_parse(text, &value), 0);
    return value;
}
