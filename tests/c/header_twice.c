/* The header may be included twice, and needs nothing before it. */
#include "qaio.h"
#include "qaio.h"

int main(void)
{
    return qaio_abi_version() == QAIO_ABI_VERSION ? 0 : 1;
}
