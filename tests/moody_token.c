/* A PKCS#11 library in front of SoftHSM's that does what a token does which has no room left, or hangs: while the folder
   MOODY_TOKEN has a file `full`, no key is made (CKR_DEVICE_MEMORY); while it has a file `hung`, a signature waits. Everything
   else is SoftHSM's own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long CK_ULONG;

/* PKCS#11 2.40, section 3.5: a version, then the functions in a fixed order. */
enum { GET_FUNCTION_LIST = 3, SIGN = 43, GENERATE_KEY_PAIR = 59, FUNCTIONS = 68 };
enum { CKR_OK = 0, CKR_GENERAL_ERROR = 5, CKR_DEVICE_MEMORY = 0x31 };

struct functions {
    unsigned char version[2];
    void *function[FUNCTIONS];
};

static struct functions own;
static CK_ULONG (*sign)(CK_ULONG, void *, CK_ULONG, void *, void *);
static CK_ULONG (*generate)(CK_ULONG, void *, void *, CK_ULONG, void *, CK_ULONG, void *, void *);

static int is(const char *mood)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("MOODY_TOKEN"), mood);
    return access(path, F_OK) == 0;
}

static CK_ULONG moody_sign(CK_ULONG session, void *data, CK_ULONG length, void *signature, void *size)
{
    while (is("hung"))
        usleep(50 * 1000);
    return sign(session, data, length, signature, size);
}

static CK_ULONG moody_generate(CK_ULONG session, void *mechanism, void *public, CK_ULONG publics, void *private, CK_ULONG privates,
                               void *public_key, void *private_key)
{
    if (is("full"))
        return CKR_DEVICE_MEMORY;
    return generate(session, mechanism, public, publics, private, privates, public_key, private_key);
}

CK_ULONG C_GetFunctionList(struct functions **list)
{
    if (!own.function[GET_FUNCTION_LIST]) {
        void *library = dlopen(getenv("MOODY_MODULE"), RTLD_NOW | RTLD_LOCAL);
        CK_ULONG (*theirs)(struct functions **) = library ? (CK_ULONG(*)(struct functions **))dlsym(library, "C_GetFunctionList") : NULL;
        struct functions *found;
        if (!theirs || theirs(&found) != CKR_OK)
            return CKR_GENERAL_ERROR;
        memcpy(&own, found, sizeof own);
        sign = own.function[SIGN];
        generate = own.function[GENERATE_KEY_PAIR];
        own.function[SIGN] = moody_sign;
        own.function[GENERATE_KEY_PAIR] = moody_generate;
        own.function[GET_FUNCTION_LIST] = C_GetFunctionList;
    }
    *list = &own;
    return CKR_OK;
}
