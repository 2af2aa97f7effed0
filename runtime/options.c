/* The command line: one action, and the options that belong to it. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { MAX_THREADS = 1024, MAX_CPUS = 8192, MAX_TOP = 1000, DEFAULT_TOP = 5 };

static const char help[] =
    "Usage: %s IMAGE... [OPTION]...\n"
    "   or: %s ACTION [OPTION]...\n"
    "The network %s, compiled by netc %s for %s.\n"
    "\n"
    "IMAGE is a JPEG, PNG or PPM file, \"-\" (a picture on standard input), or a folder: the files in it and in its\n"
    "subfolders that end in .jpg .jpeg .png .ppm .pgm .pbm or .pnm, sorted by name, hidden ones left out. The best\n"
    "classes are printed in the order of the arguments. A picture that cannot be read is a line on standard error,\n"
    "the others are done, and the exit code is 1.\n"
    "\n"
    "Actions:\n"
    "  --tensor=[NAME:]FILE.npy  run on a float32 array [N,...] or one input [...] (\"-\": standard input);\n"
    "                            a network with several inputs takes one --tensor=NAME:FILE for each\n"
    "  --dataset=IMAGES,LABELS   classify an IDX pair (also gzip): accuracy, confusion matrix, pictures a second\n"
    "  --bench                   time the network, beside the processor's peak\n"
    "  --profile                 --bench, and a row a kernel call: time, share of the run, GFLOP/s, share of the\n"
    "                            peak, bytes, share of what memory gives; what threads wait is a row of its own,\n"
    "                            and the rows add up\n"
    "  --profile=FILE.json       and one run as a trace for chrome://tracing or Perfetto (\"-\": only that)\n"
    "  --info                    what this program is\n"
    "\n"
    "Options:\n"
    "  --output=FILE             with pictures or --tensor: write the first output as FILE.npy, or all as\n"
    "                            FILE.safetensors (\"-\": .npy to standard output), a row a picture, in order, NaN "
    "for\n"
    "                            one that cannot be read; without it the answers are printed\n"
    "  --dump=LAYER              with pictures or --tensor: run no further than this layer and write its values to\n"
    "                            LAYER.npy, or to --output; several, or --dump=all, to one FILE.safetensors.\n"
    "                            --dump=help lists the layers\n"
    "  --contact-sheet=FILE.png  with --dataset: draw pictures with their true and predicted classes\n"
    "  --exif                    with pictures: turn them as their orientation tag says\n"
    "  --quiet                   with pictures: a line each, the path, a tab, the best class; no progress bar\n"
    "  --top=K                   how many classes are printed, or layers below the table of --profile (5)\n"
    "  --runs=N                  with --bench and --profile: timed runs (default: about two seconds of them)\n"
    "  --threads=N               (default: the cores that this process may use)\n"
    "  --weights-file=FILE       packed weights (netc pack) in the place of the program's own\n"
    "  --target=NAME             of a program for several processors: the code to run (default: the best)\n"
    "  --json                    print JSON; of pictures an object each, a line each\n"
    "  --help, --version\n";

enum {
    OPT_TENSOR = 1,
    OPT_OUTPUT,
    OPT_DATASET,
    OPT_SHEET,
    OPT_BENCH,
    OPT_PROFILE,
    OPT_DUMP,
    OPT_INFO,
    OPT_RUNS,
    OPT_THREADS,
    OPT_TOP,
    OPT_JSON,
    OPT_WEIGHTS_FILE,
    OPT_TARGET,
    OPT_QUIET,
    OPT_EXIF,
    OPT_HELP,
    OPT_VERSION
};
static const struct option known[] = {
    {"tensor", required_argument, NULL, OPT_TENSOR},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"dataset", required_argument, NULL, OPT_DATASET},
    {"contact-sheet", required_argument, NULL, OPT_SHEET},
    {"bench", no_argument, NULL, OPT_BENCH},
    {"profile", optional_argument, NULL, OPT_PROFILE},
    {"dump", required_argument, NULL, OPT_DUMP},
    {"info", no_argument, NULL, OPT_INFO},
    {"runs", required_argument, NULL, OPT_RUNS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"top", required_argument, NULL, OPT_TOP},
    {"json", no_argument, NULL, OPT_JSON},
    {"weights-file", required_argument, NULL, OPT_WEIGHTS_FILE},
    {"target", required_argument, NULL, OPT_TARGET},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"exif", no_argument, NULL, OPT_EXIF},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *option, const char *text, long most)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > most) {
        fail_usage("--%s takes a number from 1 to %ld, not '%s'", option, most, text);
    }
    return (int)value;
}

static int usable_cores(void)
{
    int count = 1;
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
    if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(MAX_CPUS), set) == 0) {
        count = CPU_COUNT_S(CPU_ALLOC_SIZE(MAX_CPUS), set);
    }
    CPU_FREE(set);
    return count < MAX_THREADS ? count : MAX_THREADS;
}

static void set_mode(struct options *options, enum mode mode)
{
    if (options->mode != MODE_NONE && options->mode != mode) {
        fail_usage("only one of pictures, --tensor, --dataset, --bench or --profile, and --info at a time");
    }
    options->mode = mode;
}

/* NAME:FILE, or FILE alone where there is one input. A file whose name begins like an input's is written ./NAME:x. */
static void add_tensor(struct options *options, const char *text)
{
    const char *colon = strchr(text, ':');
    int index = netc_model.n_input == 1 ? 0 : -1;
    const char *path = text;
    for (int i = 0; colon && i < netc_model.n_input; i++) {
        const char *name = netc_model.input[i].name;
        if (strlen(name) == (size_t)(colon - text) && memcmp(name, text, strlen(name)) == 0) {
            index = i;
            path = colon + 1;
        }
    }
    if (index < 0) {
        fail_usage("--tensor=%s names no input: this network has %d (%s, %s%s), so write --tensor=%s:FILE", text,
                   netc_model.n_input, netc_model.input[0].name, netc_model.input[1].name,
                   netc_model.n_input > 2 ? ", ..." : "", netc_model.input[0].name);
    }
    if (options->tensor[index]) {
        fail_usage("the input '%s' is given twice", netc_model.input[index].name);
    }
    options->tensor[index] = path;
}

static void split_dataset(struct options *options, const char *text)
{
    free(options->images);
    options->images = allocate((int64_t)strlen(text) + 1, 1, "options");
    strcpy(options->images, text);
    char *comma = strchr(options->images, ',');
    if (!comma || comma == options->images || !comma[1]) {
        fail_usage("--dataset takes two files, IMAGES,LABELS");
    }
    *comma = '\0';
    options->labels = comma + 1;
}

bool ends_with(const char *text, const char *end)
{
    return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void check_tensors(const struct options *options)
{
    int from_stdin = 0;
    for (int i = 0; i < netc_model.n_input; i++) {
        if (!options->tensor[i]) {
            fail_usage("the input '%s' is missing: --tensor=%s:FILE", netc_model.input[i].name,
                       netc_model.input[i].name);
        }
        from_stdin += strcmp(options->tensor[i], "-") == 0;
    }
    if (from_stdin > 1) {
        fail_usage("only one input can come from standard input");
    }
}

static void check_pictures(const struct options *options, bool top_given)
{
    int from_stdin = 0;
    for (int i = 0; i < options->n_picture; i++) {
        if (!*options->picture[i]) {
            fail_usage("an empty argument names no picture");
        }
        from_stdin += strcmp(options->picture[i], "-") == 0;
    }
    if (from_stdin > 1) {
        fail_usage("only one picture can come from standard input");
    }
    if (options->quiet && options->json) {
        fail_usage("--quiet prints a line a picture, --json an object: give one");
    }
    if (options->quiet && top_given) {
        fail_usage("--quiet prints one class a picture, --top is for several: give one");
    }
}

static void check_watching(const struct options *options, bool top_given)
{
    const char *trace = options->trace;
    if (trace && strcmp(trace, "-") != 0 && !ends_with(trace, ".json")) {
        fail_usage("--profile=%s: the trace's name must end in .json", trace);
    }
    if (trace && strcmp(trace, "-") == 0 && options->json) {
        fail_usage("--json prints the profile, --profile=- the trace: give one");
    }
    if (options->n_dump && options->mode != MODE_TENSOR && options->mode != MODE_PICTURES) {
        fail_usage("--dump goes with pictures or --tensor");
    }
    if (options->n_dump && (options->quiet || top_given)) {
        fail_usage("--%s prints answers, --dump stops before there are any: give one", top_given ? "top" : "quiet");
    }
}

/* Before the work, so that nobody waits to learn that his command makes no sense. */
static void check_together(const struct options *options, bool runs_given, bool top_given)
{
    const bool pictures = options->mode == MODE_PICTURES, tensor = options->mode == MODE_TENSOR;
    if (tensor) {
        check_tensors(options);
    }
    const char *output = options->output;
    if (output && !tensor && !pictures) {
        fail_usage("--output goes with pictures or --tensor");
    }
    if (output && strcmp(output, "-") != 0 && !ends_with(output, ".npy") && !ends_with(output, ".safetensors")) {
        fail_usage("--output=%s: the name must end in .npy or .safetensors", output);
    }
    if (output && !options->n_dump && (options->json || top_given)) {
        fail_usage("--%s prints the answers, --output writes them: give one", options->json ? "json" : "top");
    }
    if (top_given && !tensor && !pictures && !options->profile) {
        fail_usage("--top goes with pictures, --tensor or --profile");
    }
    if ((options->quiet || options->exif) && !pictures) {
        fail_usage("--%s goes with pictures", options->quiet ? "quiet" : "exif");
    }
    if (options->contact_sheet && options->mode != MODE_DATASET) {
        fail_usage("--contact-sheet goes with --dataset");
    }
    if (runs_given && options->mode != MODE_BENCH) {
        fail_usage("--runs goes with --bench and --profile");
    }
    check_watching(options, top_given);
    if (pictures) {
        check_pictures(options, top_given);
    }
}

static void read_option(struct options *options, int option)
{
    switch (option) {
    case OPT_TENSOR:
        set_mode(options, MODE_TENSOR);
        add_tensor(options, optarg);
        break;
    case OPT_DATASET:
        set_mode(options, MODE_DATASET);
        split_dataset(options, optarg);
        break;
    case OPT_BENCH: set_mode(options, MODE_BENCH); break;
    case OPT_PROFILE:
        set_mode(options, MODE_BENCH);
        options->profile = true;
        options->trace = optarg ? optarg : options->trace;
        break;
    case OPT_DUMP: options->dump[options->n_dump++] = optarg; break;
    case OPT_INFO: set_mode(options, MODE_INFO); break;
    case OPT_OUTPUT: options->output = optarg; break;
    case OPT_SHEET: options->contact_sheet = optarg; break;
    case OPT_RUNS: options->runs = read_number("runs", optarg, MAX_RUNS); break;
    case OPT_THREADS:
        options->threads = read_number("threads", optarg, MAX_THREADS);
        options->threads_given = true;
        break;
    case OPT_TOP: options->top = read_number("top", optarg, MAX_TOP); break;
    case OPT_JSON: options->json = true; break;
    case OPT_WEIGHTS_FILE: options->weights_file = optarg; break;
    case OPT_TARGET: options->target = optarg; break;
    case OPT_QUIET: options->quiet = true; break;
    case OPT_EXIF: options->exif = true; break;
    case OPT_HELP:
        printf(help, program_invocation_short_name, program_invocation_short_name, netc_model.name, netc_model.version,
               netc_model.target);
        finish_stdout();
        exit(0);
    case OPT_VERSION:
        printf("%s, compiled by netc %s for %s\n", netc_model.name, netc_model.version, netc_model.target);
        finish_stdout();
        exit(0);
    }
}

/* What getopt would print itself, if it could leave out the path of the program. */
static void refuse_option(int option, const char *word)
{
    if (option == ':') {
        fail_usage("%s needs a value", word);
    } else if (optopt >= ' ') {
        fail_usage("there is no option -%c", optopt);
    }
    fail_usage(optopt ? "%s: this option takes no value" : "there is no option %s", word);
}

struct options read_options(int argc, char **argv)
{
    struct options options = {.threads = usable_cores()};
    options.tensor = allocate(netc_model.n_input, sizeof *options.tensor, "options");
    options.dump = allocate(argc, sizeof *options.dump, "options");
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
        if (option == ':' || option == '?') {
            refuse_option(option, argv[optind - 1]);
        }
        read_option(&options, option);
    }
    if (optind < argc && options.profile && ends_with(argv[optind], ".json")) {
        fail_usage("a trace's name follows a =: --profile=%s", argv[optind]);
    }
    if (optind < argc) {
        set_mode(&options, MODE_PICTURES);
        options.picture = (const char *const *)argv + optind;
        options.n_picture = argc - optind;
    }
    if (options.n_dump == 1 && dump_is_help(options.dump[0])) {
        options.mode = MODE_LAYERS;
        return options;
    }
    check_together(&options, options.runs > 0, options.top > 0);
    options.top = options.top ? options.top : DEFAULT_TOP;
    return options;
}

void free_options(struct options *options)
{
    free(options->tensor);
    free(options->dump);
    free(options->images);
}
