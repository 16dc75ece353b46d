/* What a caller may do. Each one is allowed what those before it are. */
#pragma once

enum rpc_role {
    RPC_NOBODY,   /* as a method's rule: nobody may call it */
    RPC_STRANGER, /* any other: health and reflection */
    RPC_READER,   /* what only looks */
    RPC_MASTER,   /* all */
    RPC_ROLE_COUNT
};
