/* The command line: subcommands, their options as one table, help that is made of it. */
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "options.h"

static const struct command_row command_info[COMMAND_COUNT] = {
    [COMMAND_BUILD] = {"build", "FILE[:NET]", "compile a network to an executable",
                       "Weights are a checkpoint, or `synthetic`: filled by rule, to measure without one.\n"
                       "The program classifies data sets and raw tensors and measures itself: PROG --help.\n"},
    [COMMAND_PACK] =
        {"pack", "FILE[:NET]", "pack a checkpoint for a program of the same network; needs no clang",
         "The output is what `PROG --weights-file=FILE` and a library's open take, for programs of any\n"
         "target: build them from the same FILE with the same -D options. Its head is text: `sed '/^end$/q' "
         "FILE`.\n"},
    [COMMAND_EXPORT] = {"export", "FILE[:NET]",
                        "write the network with its weights as an ONNX model (opset 17); needs no clang",
                        "Other engines run it. Its inputs and outputs have the network's names, its initializers the "
                        "checkpoint's; class\n"
                        "names and the way from a picture to the input are among its properties.\n"},
    [COMMAND_CHECK] = {"check", "FILE[:NET]", "parse, elaborate and check shapes; write nothing", ""},
    [COMMAND_SHOW] = {"show", "FILE[:NET]", "the table of layers, the IR, the parameters, the buffer plan", ""},
    [COMMAND_RUN] = {"run", "FILE[:NET]", "run the reference interpreter (double, plain loops)",
                     "Input: `synthetic` (the rule of the golden values) or an .npy file. Writes the first output "
                     "as .npy, or all by name as .safetensors, in float64.\n"},
    [COMMAND_TUNE] =
        {"tune", "FILE[:NET]", "measure schedules on this processor, for `build --tuned`",
         "Compiles kernels of the network's layers in many ways, measures them in turn on one thread and writes\n"
         "those that beat the model's choice by more than the noise. No weights are needed. Ctrl-C ends it early:\n"
         "what was found is written. Leave the machine alone meanwhile.\n"},
    [COMMAND_SWEEP] =
        {"sweep", "FILE[:NET]",
         "the variants of a network over ranges of its parameters: what each costs, how fast it is",
         "VALUES is a list 1,2,4 of numbers, strings or lists of the language, a range A..B, A..B+STEP or "
         "A..B*FACTOR;\n"
         "several --over give all combinations. Variants that the network's own assertions rule out are listed with "
         "their reason.\n"
         "REFERENCE is a number (of multiply-adds, parameters or milliseconds) or values of parameters:\n"
         "`netc sweep resnext50_32x4d --over cardinality=1,2,4,8,32 --solve width --equal "
         "params=cardinality:1,width:64`.\n"
         "Ctrl-C keeps what is done, and with --db the same command goes on from there.\n"},
    [COMMAND_COMPARE] =
        {"compare", "A B [C...]", "networks, or variants of one, side by side: shapes, parameters, MACs, latency",
         "A, B, ... up to 8: FILE[:NET] with values of parameters behind it, by commas. Stages are rows:\n"
         "netc compare resnet50 resnext50_32x4d resnext50_32x4d,cardinality=8,width=14\n"
         "-D holds for those that have the parameter and do not give it themselves.\n"},
    [COMMAND_LIST] = {"list", "", "the networks that have a name, those of -I first of all",
                      "Such a name stands for its file: `netc show resnet50`.\n"},
    [COMMAND_PASS] = {"pass", "PASSES FILE",
                      "for work on netc: read graph IR, run passes joined by +, print it; `read` runs none", ""},
    [COMMAND_LOOP] =
        {"loop", "FILE",
         "for work on netc: read a kernel of loop IR, verify and print it; --eval runs it on small integers", ""},
};

enum {
    B = 1 << COMMAND_BUILD,
    C = 1 << COMMAND_CHECK,
    S = 1 << COMMAND_SHOW,
    R = 1 << COMMAND_RUN,
    P = 1 << COMMAND_PASS,
    L = 1 << COMMAND_LOOP,
    K = 1 << COMMAND_PACK,
    X = 1 << COMMAND_EXPORT,
    N = 1 << COMMAND_LIST,
    T = 1 << COMMAND_TUNE,
    W = 1 << COMMAND_SWEEP,
    V = 1 << COMMAND_COMPARE
};

enum {
    LONG_ONLY = 256,
    OPT_TARGET,
    OPT_WEIGHTS,
    OPT_CHECKPOINT_KEY,
    OPT_RENAME,
    OPT_BATCH,
    OPT_KEEP,
    OPT_EMIT_C,
    OPT_IR,
    OPT_PARAMS,
    OPT_PLAN,
    OPT_JSON,
    OPT_AST,
    OPT_EVAL,
    OPT_INPUT,
    OPT_LAYER,
    OPT_AFTER,
    OPT_KIND,
    OPT_NAME,
    OPT_WEIGHTS_FILE,
    OPT_JOBS,
    OPT_SYSROOT,
    OPT_PARTS,
    OPT_WINOGRAD,
    OPT_MAX_ERROR,
    OPT_TUNED,
    OPT_TIME,
    OPT_OVER,
    OPT_SOLVE,
    OPT_EQUAL,
    OPT_TOLERANCE,
    OPT_WHERE,
    OPT_MEASURE,
    OPT_THREADS,
    OPT_ROUNDS,
    OPT_THROUGHPUT,
    OPT_DB,
    OPT_ON,
    OPT_PARTITION,
    OPT_SLURM_OPTION,
    OPT_POLL,
    OPT_HTML,
    OPT_CSV,
    OPT_TRAIN,
    OPT_EPOCHS,
    OPT_SEEDS,
    OPT_SEED,
    OPT_TRAIN_RATE,
    OPT_TRAIN_LIMIT,
    OPT_DATA,
    OPT_VERSION
};

static const struct option_row option_info[] = {
    {B | C | S | R | K | X | T | W | V, 'D', "define", "=NAME=VALUE",
     "give a parameter of the network another value (any expression of the language)"},
    {B | C | S | R | K | X | N | T | W | V, 'I', "import-dir", "=DIR",
     "look for imports and labels in DIR, before the installed netdefs"},
    {B, 'o', "output", "=PATH",
     "the executable (default: the network's name); the folder of a library, which is made if need be (default: this "
     "one); the folder of --kind=source, a new one or one that netc made (default: the network's name)"},
    {R, 'o', "output", "=FILE", "where the output goes: .npy the first, .safetensors all"},
    {K, 'o', "output", "=FILE", "the weights file"},
    {X, 'o', "output", "=FILE.onnx", "the model"},
    {T, 'o', "output", "=FILE.tuned", "the schedules (default: the network's name with .tuned)"},
    {T, OPT_TIME, "time", "=SECONDS", "how long to measure, compiling included (default 60)"},
    {B | S | P, OPT_TUNED, "tuned", "=FILE.tuned", "cut loops as `netc tune` found best, where it has the layer"},
    {K, OPT_TUNED, "tuned", "=FILE.tuned", "taken as build takes it: the file is the same for every schedule"},
    {B | R | K | X, OPT_WEIGHTS, "weights", "=FILE|synthetic",
     "a checkpoint with the network's parameters: safetensors, or what torch.save wrote (.pth, .pt, .bin)"},
    {B | R | K | X, OPT_CHECKPOINT_KEY, "checkpoint-key", "=KEY",
     "where in a file of torch.save the state_dict is, such as state_dict_ema or ema/model (default: state_dict, "
     "model, or the file itself)"},
    {B | R | K | X, OPT_RENAME, "rename", "=FILE",
     "give the checkpoint's tensors other names by lines FROM -> TO; or one of caffe_resnet, caffe_senet, legacy_se"},
    {W, OPT_OVER, "over", "=NAME=VALUES", "a parameter and the values that it takes"},
    {W, OPT_SOLVE, "solve", "=NAME",
     "the parameter that follows: it takes the whole number that brings the variant nearest to --equal"},
    {W, OPT_EQUAL, "equal", "=macs|params|latency=REFERENCE", "what the variants are to have in common"},
    {W, OPT_TOLERANCE, "tolerance", "=P%", "cut variants that are further from --equal (default: none is)"},
    {W, OPT_WHERE, "where", "=EXPR",
     "keep variants for which this holds: an expression over the parameters, params, macs and activations"},
    {W, OPT_MEASURE, "measure", "", "build each variant with synthetic weights and measure it on this processor"},
    {W, OPT_THREADS, "threads", "=N", "of the second latency, besides one thread (default: the cores of this machine)"},
    {W, OPT_ROUNDS, "rounds", "=N", "rounds in which all variants are measured in turn (default 7)"},
    {W, OPT_THROUGHPUT, "throughput", "=N", "images a run where images a second are measured (default 8)"},
    {W, OPT_TRAIN, "train", "",
     "train each variant on Fashion-MNIST by PyTorch, which NETC_PYTHON or /usr/bin/python3 has, and tell its "
     "accuracy"},
    {W, OPT_EPOCHS, "epochs", "=N", "of each training, the last weights count (default 4)"},
    {W, OPT_SEEDS, "seeds", "=N", "trainings of a variant, each with a seed of its own (default 3)"},
    {W, OPT_SEED, "seed", "=K", "the first of the seeds (default 1)"},
    {W, OPT_TRAIN_RATE, "train-rate", "=R", "the highest learning rate (default 0.15)"},
    {W, OPT_TRAIN_LIMIT, "train-limit", "=N", "train and test with the first N pictures only: for a quick try"},
    {W, OPT_DATA, "data", "=DIR", "the four .gz files of Fashion-MNIST (default /usr/share/datasets/fashion-mnist)"},
    {W, OPT_DB, "db", "=FILE", "the SQLite database that takes all results, and from which the same sweep goes on"},
    {W, OPT_ON, "on", "=slurm",
     "build and measure on the nodes of a Slurm cluster, a variant at a time on each (grammar/SWEEP.md)"},
    {W, OPT_PARTITION, "partition", "=NAME", "of the cluster (default: Slurm's own)"},
    {W, OPT_SLURM_OPTION, "slurm-option", "=OPTION",
     "for sbatch, such as --time=30 or --constraint=avx512; as often as need be"},
    {W, OPT_POLL, "poll", "=SECONDS", "between two looks at the queue (default 10)"},
    {W, OPT_HTML, "html", "=FILE.html", "write a report that a browser opens: plots and tables"},
    {W, OPT_CSV, "csv", "", "print comma-separated values: a line of names, then plain numbers"},
    {W, OPT_JSON, "json", "", "print JSON (grammar/SWEEP.md)"},
    {V, OPT_MEASURE, "measure", "",
     "build all with synthetic weights and run them in turn: what each stage takes on this processor"},
    {V, OPT_THREADS, "threads", "=N", "of the second latency, besides one thread (default: the cores of this machine)"},
    {V, OPT_ROUNDS, "rounds", "=N", "rounds in which all are measured in turn, about a second each time (default 5)"},
    {V, OPT_CSV, "csv", "", "print comma-separated values: a line of names, then one a stage; plain numbers"},
    {V, OPT_JSON, "json", "", "print all of it as JSON"},
    {T | W, OPT_TARGET, "target", "=NAME", "native (default), or a processor family that this processor runs"},
    {B | S | P | V, OPT_TARGET, "target", "=NAME", "native (default) or a processor family; --target=help lists them"},
    {B, OPT_SYSROOT, "sysroot", "=DIR",
     "headers and libraries of a target of another architecture (default: $NETC_SYSROOT, else what `make "
     "sysroot-aarch64` made)"},
    {B | C | S | V, OPT_BATCH, "batch", "=N", "images a run (default 1)"},
    {K, OPT_TARGET, "target", "=NAME", "taken as build takes it: the file is the same for every target"},
    {K, OPT_BATCH, "batch", "=N", "taken as build takes it: the file is the same for every batch"},
    {X, OPT_BATCH, "batch", "=N", "images a run (default: any number, the dimension N)"},
    {B | S | R | P | K | T | W | V, OPT_WINOGRAD, "winograd", "=auto|off|always",
     "3x3 convolutions by transformed tiles: where that is faster (default), nowhere, or wherever it can be"},
    {B | S | R | P | K | T | W | V, OPT_MAX_ERROR, "max-error", "=E",
     "the error of a layer that is allowed for speed, relative to its largest output (default 5e-5; less makes tiles "
     "smaller)"},
    {B, OPT_KIND, "kind", "=KIND",
     "exe (default); static, shared: a library with its header and pkg-config file; source: a folder of C that builds "
     "anywhere with make"},
    {B, OPT_NAME, "name", "=NAME", "what the output and its functions are called (default: the network's name)"},
    {K, OPT_NAME, "name", "=NAME", "the network's name in the file, which is a note to its readers"},
    {B, OPT_WEIGHTS_FILE, "weights-file", "=FILE",
     "write the packed weights to FILE, which is mapped at start, and not into the output"},
    {B, OPT_KEEP, "keep", "=DIR", "leave the generated C and the packed weights in DIR"},
    {B, OPT_EMIT_C, "emit-c", "=DIR", "write the C and the packed weights to DIR and build nothing"},
    {B, OPT_PARTS, "parts", "=N",
     "files that the kernels are spread over, compiled side by side (default 8; for --kind=source 1)"},
    {W, 'j', "jobs", "=N", "variants built or trained at a time (default: the cores of this machine)"},
    {V, 'j', "jobs", "=N", "clangs at a time for --measure (default: the cores of this machine)"},
    {B | T, 'j', "jobs", "=N", "clangs at a time (default: the cores of this machine)"},
    {R, OPT_INPUT, "input", "=synthetic|FILE.npy", "what to run it on"},
    {R, OPT_LAYER, "layer", "=NAME", "write this value (a name of `netc show`), not the first output"},
    {R, OPT_AFTER, "after", "=PASS",
     "the network as it is after a pass; after choose_schedule its values are those of a program's --dump"},
    {S, OPT_IR, "ir", "[=after:PASS]", "the IR: of the elaborated network, or after a pass"},
    {S, OPT_PARAMS, "params", "", "one line a parameter: name, shape, dtype"},
    {S, OPT_PLAN, "plan", "", "the buffers: offset, bytes, epochs, and drawn over time"},
    {S, OPT_JSON, "json", "", "the elaborated network as JSON (with --params, --plan: those)"},
    {S, OPT_AST, "ast", "", "the syntax tree"},
    {L, OPT_EVAL, "eval", "", "run the kernel and print what it writes"},
};

const struct command_row *command_row(size_t i)
{
    return i < LENGTH(command_info) ? &command_info[i] : NULL;
}

const struct option_row *option_row(size_t i)
{
    return i < LENGTH(option_info) ? &option_info[i] : NULL;
}

bool option_is_short(const struct option_row *row)
{
    return row->value < LONG_ONLY;
}

/* After a text on standard output that was asked for. */
static _Noreturn void finish(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        exit(EXIT_DONE);
    fprintf(stderr, "netc: error: standard output cannot be written\n");
    exit(EXIT_INPUT);
}

static void help(void)
{
    printf("netc %s: from short descriptions of convolutional networks to C for one network and one "
           "processor\n\nusage: netc COMMAND ...\n\n",
           NETC_VERSION);
    for (int c = 0; c < COMMAND_COUNT; c++)
        printf("  %-7s %-11s %s\n", command_info[c].name, command_info[c].arguments, command_info[c].summary);
    printf("\n`netc COMMAND --help` lists a command's options. FILE is a .net file, - is standard input; FILE:NET "
           "picks one of several nets.\nA name of `netc list` stands for its file: resnet50.\n"
           "Exit codes: 0 done, 1 the input is at fault, 2 wrong usage, 70 a defect of netc.\n");
}

static void command_help(enum command c)
{
    printf("usage: netc %s [OPTIONS]%s%s\n\n%s\n%s%s\n", command_info[c].name, *command_info[c].arguments ? " " : "",
           command_info[c].arguments, command_info[c].summary, *command_info[c].more ? "\n" : "", command_info[c].more);
    for (size_t i = 0; i < LENGTH(option_info); i++) {
        if (!(option_info[i].commands & (1 << c)))
            continue;
        char left[64];
        snprintf(left, sizeof left, "--%s%s", option_info[i].name, option_info[i].argument);
        if (option_info[i].value < LONG_ONLY)
            printf("  -%c, %-26s %s\n", option_info[i].value, left, option_info[i].help);
        else
            printf("      %-26s %s\n", left, option_info[i].help);
    }
    printf("      %-26s %s\n", "--help", "this text");
}

static void target_help(void)
{
    printf("native      %s on this machine\n", target_native()->name);
    for (int i = 0; target_at(i); i++)
        printf("%-11s %s\n", target_at(i)->name, target_at(i)->summary);
    for (int i = 0; target_set_at(i); i++)
        printf("%-11s %s\n", target_set_at(i)->name, target_set_at(i)->summary);
}

static _Noreturn void usage(enum command c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "netc: error: ");
    vfprintf(stderr, format, list);
    va_end(list);
    if (c == COMMAND_COUNT)
        fprintf(stderr, "\nnetc --help lists the commands\n");
    else
        fprintf(stderr, "\nnetc %s --help lists the options\n", command_info[c].name);
    exit(EXIT_USAGE);
}

static int number(enum command c, const char *option, const char *text, int most)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (!*text || *end || n < 1 || n > most)
        usage(c, "--%s takes a whole number from 1 to %d, not '%s'", option, most, text);
    return (int)n;
}

static void target_option(struct options *o, const char *name)
{
    if (strcmp(name, "help") == 0) {
        target_help();
        finish();
    }
    o->set = target_set_by_name(name);
    if (o->set && o->command != COMMAND_BUILD && o->command != COMMAND_PACK)
        usage(o->command, "%s is several targets in one program: name one of them, such as %s", name,
              o->set->member[0]);
    o->target = target_by_name(o->set ? o->set->member[0] : name);
    const char *known[16];
    size_t n = 0;
    for (int i = 0; n < 16 && target_at(i); i++)
        known[n++] = target_at(i)->name;
    for (int i = 0; n < 16 && target_set_at(i); i++)
        known[n++] = target_set_at(i)->name;
    const char *near = o->target ? NULL : nearest_name(name, known, n);
    if (!o->target)
        usage(o->command, "unknown target '%s'%s%s%s; --target=help lists them", name, near ? ", did you mean '" : "",
              near ? near : "", near ? "'?" : "");
}

static enum build_kind kind_option(enum command c, const char *name)
{
    for (int k = 0; k < BUILD_KINDS; k++)
        if (strcmp(name, build_kind_name[k]) == 0)
            return (enum build_kind)k;
    const char *near = nearest_name(name, build_kind_name, BUILD_KINDS);
    usage(c, "--kind takes exe, static, shared or source, not '%s'%s%s%s", name, near ? "; did you mean '" : "",
          near ? near : "", near ? "'?" : "");
}

bool output_name_is_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", digits[] = "0123456789";
    bool good = *name && strchr(first, *name) && strlen(name) <= 100;
    for (const char *p = name; *p; p++)
        good = good && (strchr(first, *p) || strchr(digits, *p));
    return good;
}

const char *const winograd_mode_name[3] = {"auto", "off", "always"}; /* as the enum */

static enum winograd_mode winograd_option(enum command c, const char *name)
{
    for (size_t i = 0; i < LENGTH(winograd_mode_name); i++)
        if (strcmp(name, winograd_mode_name[i]) == 0)
            return (enum winograd_mode)i;
    const char *near = nearest_name(name, winograd_mode_name, LENGTH(winograd_mode_name));
    usage(c, "--winograd takes auto, off or always, not '%s'%s%s%s", name, near ? "; did you mean '" : "",
          near ? near : "", near ? "'?" : "");
}

static double error_option(enum command c, const char *text)
{
    char *end;
    double e = strtod(text, &end);
    if (!*text || *end || !(e > 0 && e <= 1))
        usage(c, "--max-error takes a number above 0, to 1, such as 1e-6, not '%s'", text);
    return e;
}

/* "2%", or "2": a share. */
static double percent_option(enum command c, const char *text)
{
    char *end;
    double p = strtod(text, &end);
    if (end == text || (*end && strcmp(end, "%") != 0) || !(p >= 0 && p <= 1000))
        usage(c, "--tolerance takes percents from 0, such as 2%%, not '%s'", text);
    return p / 100;
}

static double rate_option(enum command c, const char *text)
{
    char *end;
    double rate = strtod(text, &end);
    if (end == text || *end || !(rate > 0 && rate <= 100))
        usage(c, "--train-rate takes a number above 0, such as 0.1, not '%s'", text);
    return rate;
}

static const char *name_option(enum command c, const char *name)
{
    if (!output_name_is_valid(name))
        usage(c, "--name takes up to 100 letters, digits and _, no digit in front, not '%s'", name);
    return name;
}

struct lists { /* growing -D and -I */
    struct arena *arena;
    struct definition *define;
    const char **dir, **over, **where, **slurm;
    size_t n_slurm, cap_slurm;
    size_t n_define, cap_define, n_dir, cap_dir, n_over, cap_over, n_where, cap_where;
    struct text described;
};

static void add_define(struct lists *l, enum command c, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        usage(c, "-D takes NAME=VALUE, not '%s'", text);
    struct definition d = {arena_copy(l->arena, text, (size_t)(equals - text)), equals + 1};
    PUSH(l->arena, l->define, l->n_define, l->cap_define, d);
    text_add(&l->described, "%s-D %s", l->described.length ? " " : "", text);
}

static void show_form(struct options *o, const char *argument)
{
    o->ir = true;
    if (!argument)
        return;
    if (strncmp(argument, "after:", 6) != 0 || !argument[6])
        usage(o->command, "--ir takes nothing or after:PASS, not '%s'", argument);
    o->after = argument + 6;
}

static void on_option(struct options *o, const char *where)
{
    if (strcmp(where, "slurm") != 0)
        usage(o->command, "--on takes slurm, not '%s'; without it this machine measures", where);
    o->sweep.slurm = true;
}

static void slurm_option(struct lists *l, const char *text)
{
    if (*text != '-')
        usage(COMMAND_SWEEP,
              "--slurm-option takes an option of sbatch with its dashes, --slurm-option=--time=30, not '%s'", text);
    PUSH(l->arena, l->slurm, l->n_slurm, l->cap_slurm, text);
}

static void apply(struct options *o, struct lists *l, int value, const char *argument)
{
    enum command c = o->command;
    switch (value) {
    case 'D': add_define(l, c, argument); break;
    case 'I': PUSH(l->arena, l->dir, l->n_dir, l->cap_dir, argument); break;
    case 'o': o->output = argument; break;
    case 'j': o->jobs = number(c, "jobs", argument, 1024); break;
    case OPT_TARGET: target_option(o, argument); break;
    case OPT_WEIGHTS: o->weights = argument; break;
    case OPT_CHECKPOINT_KEY: o->checkpoint_key = argument; break;
    case OPT_RENAME: o->rename = argument; break;
    case OPT_BATCH: o->batch = o->front.batch = number(c, "batch", argument, 4096); break;
    case OPT_KIND: o->kind = kind_option(c, argument); break;
    case OPT_NAME: o->name = name_option(c, argument); break;
    case OPT_WEIGHTS_FILE: o->weights_file = argument; break;
    case OPT_SYSROOT: o->sysroot = argument; break;
    case OPT_KEEP: o->keep = argument; break;
    case OPT_EMIT_C: o->emit_c = argument; break;
    case OPT_PARTS: o->parts = number(c, "parts", argument, MOST_PARTS); break;
    case OPT_WINOGRAD: o->winograd = winograd_option(c, argument); break;
    case OPT_MAX_ERROR: o->max_error = error_option(c, argument); break;
    case OPT_TUNED: o->tuned = argument; break;
    case OPT_TIME: o->seconds = number(c, "time", argument, 86400); break;
    case OPT_OVER: PUSH(l->arena, l->over, l->n_over, l->cap_over, argument); break;
    case OPT_SOLVE: o->sweep.solve = argument; break;
    case OPT_EQUAL: o->sweep.equal = argument; break;
    case OPT_TOLERANCE: o->sweep.tolerance = percent_option(c, argument); break;
    case OPT_WHERE: PUSH(l->arena, l->where, l->n_where, l->cap_where, argument); break;
    case OPT_MEASURE: o->sweep.measure = true; break;
    case OPT_THREADS: o->threads = number(c, "threads", argument, 1024); break;
    case OPT_ROUNDS: o->sweep.rounds = number(c, "rounds", argument, 1000); break;
    case OPT_THROUGHPUT: o->sweep.throughput = number(c, "throughput", argument, 4096); break;
    case OPT_DB: o->sweep.db = argument; break;
    case OPT_ON: on_option(o, argument); break;
    case OPT_PARTITION: o->sweep.partition = argument; break;
    case OPT_SLURM_OPTION: slurm_option(l, argument); break;
    case OPT_POLL: o->sweep.poll = number(c, "poll", argument, 3600); break;
    case OPT_HTML: o->sweep.html = argument; break;
    case OPT_CSV: o->sweep.csv = true; break;
    case OPT_TRAIN: o->sweep.train = true; break;
    case OPT_EPOCHS: o->sweep.epochs = number(c, "epochs", argument, 10000); break;
    case OPT_SEEDS: o->sweep.seeds = number(c, "seeds", argument, 1000); break;
    case OPT_SEED: o->sweep.seed = number(c, "seed", argument, 1000000); break;
    case OPT_TRAIN_RATE: o->sweep.rate = rate_option(c, argument); break;
    case OPT_TRAIN_LIMIT: o->sweep.limit = number(c, "train-limit", argument, 60000); break;
    case OPT_DATA: o->sweep.data = argument; break;
    case OPT_INPUT: o->input = argument; break;
    case OPT_LAYER: o->layer = argument; break;
    case OPT_AFTER: o->after = argument; break;
    case OPT_IR: show_form(o, argument); break;
    case OPT_PARAMS: o->params = true; break;
    case OPT_PLAN: o->plan = true; break;
    case OPT_JSON: o->json = true; break;
    case OPT_AST: o->ast = true; break;
    case OPT_EVAL: o->eval = true; break;
    }
}

/* getopt's tables for one command, out of option_info. */
static void getopt_tables(enum command c, struct option *longs, char *shorts)
{
    size_t n = 0;
    *shorts++ = ':';
    for (size_t i = 0; i < LENGTH(option_info); i++) {
        if (!(option_info[i].commands & (1 << c)))
            continue;
        int has = !*option_info[i].argument         ? no_argument
                  : *option_info[i].argument == '[' ? optional_argument
                                                    : required_argument;
        longs[n++] = (struct option){option_info[i].name, has, NULL, option_info[i].value};
        if (option_info[i].value < LONG_ONLY)
            *shorts++ = (char)option_info[i].value, *shorts++ = ':';
    }
    longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n] = (struct option){0};
    *shorts++ = 'h';
    *shorts = 0;
}

static enum command command_by_name(const char *name)
{
    const char *known[COMMAND_COUNT];
    for (int c = 0; c < COMMAND_COUNT; c++) {
        known[c] = command_info[c].name;
        if (strcmp(name, known[c]) == 0)
            return (enum command)c;
    }
    const char *near = nearest_name(name, known, COMMAND_COUNT);
    usage(COMMAND_COUNT, "unknown command '%s'%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
          near ? "'?" : "");
}

static void slurm_arguments(struct options *o)
{
    const struct sweep_options *s = &o->sweep;
    const char *lone = s->partition ? "--partition" : s->n_slurm_option ? "--slurm-option" : s->poll ? "--poll" : NULL;
    if (lone && !s->slurm)
        usage(o->command, "%s is for --on=slurm", lone);
    if (!s->slurm)
        return;
    if (!s->measure)
        usage(o->command, "--on=slurm needs --measure: sizes alone are found here, in a moment");
    if (!s->db)
        usage(o->command,
              "--on=slurm needs --db=FILE, in a folder that the nodes see, too: they leave their results beside it");
    if (s->equal && strncmp(s->equal, "latency", strlen("latency")) == 0)
        usage(o->command,
              "--equal=latency needs one processor, on which each next value is measured: beside --on=slurm take "
              "macs or params");
    if (s->train)
        usage(o->command, "--train runs on this machine: give it in a run of its own with the same --db");
}

static void sweep_arguments(struct options *o)
{
    struct sweep_options *s = &o->sweep;
    if (strcmp(o->file, "-") == 0)
        usage(o->command, "a sweep reads its file once a variant: standard input cannot be, write it to a file");
    if (s->csv && o->json)
        usage(o->command, "--csv and --json both are what is printed: choose one");
    if (s->solve && !s->equal)
        usage(o->command, "--solve=%s needs --equal=macs|params|latency=REFERENCE: what %s is to be solved for",
              s->solve, s->solve);
    if (!isnan(s->tolerance) && !s->equal)
        usage(o->command, "--tolerance needs --equal=macs|params|latency=REFERENCE");
    if (!s->train && (s->epochs || s->seeds || s->seed || s->limit || s->data || s->rate > 0))
        usage(o->command, "--epochs, --seeds, --seed, --train-rate, --train-limit and --data are of --train");
    if (s->limit && s->limit < 64)
        usage(o->command, "--train-limit is 64 or more, the pictures of a step");
    slurm_arguments(o);
    if (!s->rounds)
        s->rounds = 7;
    if (!s->epochs)
        s->epochs = 4;
    if (!s->seeds)
        s->seeds = 3;
    if (!s->seed)
        s->seed = 1;
    if (!(s->rate > 0))
        s->rate = 0.15;
    if (!s->data)
        s->data = "/usr/share/datasets/fashion-mnist";
    if (!s->throughput)
        s->throughput = 8;
}

static bool is_stdin(const char *file)
{
    return strcmp(file, "-") == 0 || strncmp(file, "-:", 2) == 0;
}

/* A B [C...] of netc compare. */
static void compare_arguments(struct arena *a, struct options *o, char **argv, int n)
{
    int from_stdin = 0;
    const char *why = NULL;
    if (n > MOST_COMPARED)
        usage(o->command, "%d networks are too many: at most %d stand side by side", n, MOST_COMPARED);
    for (int i = 0; i < n; i++) {
        o->compared[i] = read_compared(a, argv[i], &why);
        if (!o->compared[i])
            usage(o->command, "%s", why);
        from_stdin += is_stdin(o->compared[i]->file);
    }
    o->n_compared = n;
    if (n == 0)
        usage(o->command, "networks are missing: A B [C...]");
    if (n == 1)
        usage(o->command, "'%s' is one network: name another one to compare it with", argv[0]);
    if (from_stdin && (from_stdin > 1 || o->sweep.measure))
        usage(o->command, "standard input is read once%s: write it to a file",
              from_stdin > 1 ? "" : ", --measure reads twice");
    if (o->sweep.csv && o->json)
        usage(o->command, "--csv and --json both are what is printed: choose one");
    if (!o->sweep.measure && (o->sweep.rounds || o->threads || o->jobs))
        usage(o->command, "--%s has no meaning without --measure",
              o->sweep.rounds ? "rounds"
              : o->threads    ? "threads"
                              : "jobs");
    if (!o->sweep.rounds)
        o->sweep.rounds = 5;
}

static void read_arguments(struct arena *a, struct options *o, char **argv, int n)
{
    if (o->command == COMMAND_COMPARE) {
        compare_arguments(a, o, argv, n);
        return;
    }
    int wanted = o->command == COMMAND_PASS ? 2 : o->command == COMMAND_LIST ? 0 : 1;
    if (n < wanted)
        usage(o->command, "%s is missing", wanted == 2 && n == 1 ? "FILE" : command_info[o->command].arguments);
    if (n > wanted)
        usage(o->command, "%s: '%s' is too many", wanted ? "one file at a time" : "no file is wanted", argv[wanted]);
    if (o->command == COMMAND_PASS)
        o->passes = argv[0];
    if (wanted > 0)
        o->file = o->front.file = argv[wanted - 1];
    if (o->command == COMMAND_BUILD && !o->weights)
        usage(o->command, "--weights is missing: a checkpoint, or --weights=synthetic to fill them by rule");
    if ((o->command == COMMAND_PACK || o->command == COMMAND_EXPORT) && (!o->weights || !o->output))
        usage(o->command, "--weights and --output are needed");
    if (o->emit_c && (o->output || o->keep))
        usage(o->command, "--emit-c=DIR builds nothing: %s has no meaning beside it", o->output ? "-o" : "--keep");
    if (o->kind == BUILD_SOURCE && o->keep)
        usage(o->command, "--kind=source keeps all that is generated: --keep has no meaning beside it");
    if (!o->seconds)
        o->seconds = 60;
    if (!o->parts)
        o->parts = o->kind == BUILD_SOURCE ? 1 : 8;
    if (o->command == COMMAND_SWEEP)
        sweep_arguments(o);
    if (o->command == COMMAND_RUN && (!o->weights || !o->input || !o->output))
        usage(o->command, "--weights, --input and --output are needed");
}

static _Noreturn void unknown_option(struct arena *a, enum command c, const struct option *longs, const char *word)
{
    const char *known[LENGTH(option_info) + 1], *near = NULL;
    size_t n = 0;
    for (; longs[n].name; n++)
        known[n] = longs[n].name;
    if (strncmp(word, "--", 2) == 0)
        near = nearest_name(arena_copy(a, word + 2, strcspn(word + 2, "=")), known, n);
    usage(c, "unknown option '%s'%s%s%s", word, near ? ", did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

struct options read_options(struct arena *a, int argc, char **argv)
{
    if (argc < 2)
        usage(COMMAND_COUNT, "a command is missing: build, pack, export, check, show, run, tune, sweep or compare");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help();
        finish();
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version(a);
        finish();
    }
    struct text line = {.arena = a};
    for (int i = 0; i < argc; i++)
        text_add(&line, i ? " %s" : "netc", argv[i]);
    struct options o = {.command = command_by_name(argv[1]),
                        .command_line = text_string(&line),
                        .front = {.batch = 1},
                        .sweep = {.tolerance = NAN}};
    struct lists l = {.arena = a, .described = {.arena = a}};
    struct option longs[LENGTH(option_info) + 2];
    char shorts[2 * LENGTH(option_info) + 4];
    getopt_tables(o.command, longs, shorts);
    opterr = 0;
    for (int value; (value = getopt_long(argc - 1, argv + 1, shorts, longs, NULL)) != -1;) {
        if (value == 'h') {
            command_help(o.command);
            finish();
        }
        if (value == ':')
            usage(o.command, "%s needs a value", argv[optind]);
        if (value == '?')
            unknown_option(a, o.command, longs, argv[optind]);
        apply(&o, &l, value, optarg);
    }
    o.sweep.slurm_option = l.slurm;
    o.sweep.n_slurm_option = (int)l.n_slurm;
    read_arguments(a, &o, argv + 1 + optind, argc - 1 - optind);
    if (!o.target)
        o.target = target_native();
    if ((o.command == COMMAND_TUNE || (o.sweep.measure && !o.sweep.slurm)) && !target_runs_here(o.target))
        usage(o.command, "this measures on this processor, which does not run %s; native is %s here", o.target->name,
              target_native()->name);
    if (o.sysroot && !target_foreign_arch(o.target))
        usage(o.command, "--sysroot is for targets of another architecture, %s is this machine's own", o.target->name);
    PUSH(a, l.dir, l.n_dir, l.cap_dir, data_folder(a, "netdefs"));
    o.front.define = l.define;
    o.front.n_define = (int)l.n_define;
    o.sweep.over = l.over;
    o.sweep.n_over = (int)l.n_over;
    o.sweep.where = l.where;
    o.sweep.n_where = (int)l.n_where;
    o.front.import_dir = l.dir;
    o.front.n_import_dir = (int)l.n_dir;
    if (o.front.batch > 1)
        text_add(&l.described, "%s--batch=%d", l.described.length ? " " : "", o.front.batch);
    size_t before = l.described.length;
    if (o.winograd != WINOGRAD_AUTO)
        text_add(&l.described, "%s--winograd=%s", l.described.length ? " " : "", winograd_mode_name[o.winograd]);
    if (o.max_error > 0)
        text_add(&l.described, "%s--max-error=%g", l.described.length ? " " : "", o.max_error);
    o.shaped = arena_printf(a, "%s", text_string(&l.described) + before + (before && l.described.length > before));
    const char *slash = o.tuned && o.command == COMMAND_BUILD ? strrchr(o.tuned, '/') : NULL;
    if (o.tuned && o.command == COMMAND_BUILD)
        text_add(&l.described, "%s--tuned=%s", l.described.length ? " " : "", slash ? slash + 1 : o.tuned);
    o.described = text_string(&l.described);
    return o;
}
