/* The rows of targets.def, best first, and which of them the processor at hand runs.
 *
 * A row counts as runnable only if every extension is there that its helper header's lacks() asks for: both lists must
 * agree, or a program built for `native` would refuse to start where it was built. */
#include "targets/target.h"

#include <string.h>

const char common_flags[] = "-O3 -std=c17 -ffp-contract=off -fopenmp -fvisibility=hidden";

#define TARGET(name, isa, helpers, lanes, registers, by_lane, l1, l2, arch, flags, summary) \
    {name, isa, helpers, flags, summary, arch, lanes, registers, by_lane, l1, l2},
#define TARGET_SET(...)
static const struct target targets[] = {
#include "targets/targets.def"
};
#undef TARGET
#undef TARGET_SET

#define TARGET(...)
#define TARGET_SET(name, summary, ...) {name, summary, {__VA_ARGS__}},
static const struct target_set target_sets[] = {
#include "targets/targets.def"
};
#undef TARGET
#undef TARGET_SET

const struct target *target_at(int i)
{
    return i >= 0 && (size_t)i < LENGTH(targets) ? &targets[i] : NULL;
}

const struct target_set *target_set_at(int i)
{
    return i >= 0 && (size_t)i < LENGTH(target_sets) ? &target_sets[i] : NULL;
}

const struct target_set *target_set_by_name(const char *name)
{
    for (size_t i = 0; i < LENGTH(target_sets); i++) {
        if (strcmp(name, target_sets[i].name) == 0) {
            return &target_sets[i];
        }
    }
    return NULL;
}

const struct target *target_by_name(const char *name)
{
    if (strcmp(name, "native") == 0) {
        return target_native();
    }
    for (size_t i = 0; i < LENGTH(targets); i++) {
        if (strcmp(name, targets[i].name) == 0) {
            return &targets[i];
        }
    }
    return NULL;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#else
static bool has_avx2(void)
{
    return false;
}

static bool has_avx512(void)
{
    return false;
}
#endif

#if defined(__x86_64__)
static const char own_arch[] = "x86_64";
#elif defined(__aarch64__)
static const char own_arch[] = "aarch64";
#else
static const char own_arch[] = "unknown";
#endif

const char *target_foreign_arch(const struct target *target)
{
    return *target->arch && strcmp(target->arch, own_arch) != 0 ? target->arch : NULL;
}

bool target_runs_here(const struct target *target)
{
    if (target_foreign_arch(target)) {
        return false;
    }
    if (strcmp(target->isa, "avx512") == 0) {
        return has_avx512();
    }
    if (strcmp(target->isa, "avx2") == 0) {
        return has_avx2();
    }
    return true; /* NEON is there on every 64-bit ARM */
}

const struct target *target_native(void)
{
    size_t i = 0;
    while (!target_runs_here(&targets[i])) { /* ends: the last row is plain C */
        i++;
    }
    return &targets[i];
}
