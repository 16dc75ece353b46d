/* Prints the REST API's route table, one "METHOD PATTERN" a line. */
#include <stdio.h>

#include "control/api/routes.h"

int main(void)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        (void)printf("%s %s\n", control_routes[i].method, control_routes[i].pattern);
    return 0;
}
