/* Overwriting what was secret, in a way that no compiler leaves out. */
#include "lib/base/secret.h"

#include <string.h>

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
