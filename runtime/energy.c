/* What the processor has used up, by its own counters (RAPL): Linux shows them as files, often to root alone. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { MOST_PACKAGES = 8 };
static const char powercap[] = "/sys/class/powercap";

struct counter {
    char path[512];
    double range; /* joules after which it starts again */
    double last;
};
static struct counter counter[MOST_PACKAGES];
static int n_counter;

/* A file of one number of millionths; -1: it cannot be read. */
static double read_millionths(const char *folder, const char *zone, const char *name)
{
    char path[512];
    double number = -1;
    snprintf(path, sizeof path, "%s/%s/%s", folder, zone, name);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%lf", &number) != 1) {
        number = -1;
    }
    if (file) {
        fclose(file);
    }
    return number < 0 ? -1 : 1e-6 * number;
}

/* Is it a whole processor, and not a part of one, or the machine around it? */
static bool is_package(const char *folder, const char *zone)
{
    char path[512], name[64] = "";
    snprintf(path, sizeof path, "%s/%s/name", folder, zone);
    FILE *file = fopen(path, "r");
    if (file) {
        if (!fgets(name, sizeof name, file)) {
            name[0] = '\0';
        }
        fclose(file);
    }
    return strncmp(name, "package", strlen("package")) == 0;
}

void energy_open(void)
{
    const char *other = getenv("NETC_POWERCAP"), *folder = other && *other ? other : powercap;
    DIR *zones = opendir(folder);
    n_counter = 0;
    for (struct dirent *zone; zones && (zone = readdir(zones)) && n_counter < MOST_PACKAGES;) {
        if (zone->d_name[0] == '.' || !is_package(folder, zone->d_name)) {
            continue;
        }
        struct counter *c = &counter[n_counter];
        c->last = read_millionths(folder, zone->d_name, "energy_uj");
        c->range = read_millionths(folder, zone->d_name, "max_energy_range_uj");
        int length = snprintf(c->path, sizeof c->path, "%s/%s", folder, zone->d_name);
        n_counter += c->last >= 0 && length < (int)sizeof c->path;
    }
    if (zones) {
        closedir(zones);
    }
}

double energy_since(void)
{
    double sum = 0;
    for (int i = 0; i < n_counter; i++) {
        double now = read_millionths(counter[i].path, ".", "energy_uj");
        double used = now - counter[i].last;
        if (now < 0) {
            return -1;
        }
        sum += used < 0 && counter[i].range > 0 ? used + counter[i].range : used;
        counter[i].last = now;
    }
    return n_counter ? sum : -1;
}
