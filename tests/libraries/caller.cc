// A caller in C++11, as caller.c: caller INPUT OUTPUT THREADS. The workspace is static, the classes are named.
#include "$.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

alignas(@_ALIGNMENT) unsigned char workspace[@_WORKSPACE_BYTES];

void check(int code)
{
    if (code != @_OK)
        throw std::runtime_error($_strerror(code));
}

struct network {
    $_net net;
    network() : net() { check($_open(&net, nullptr)); }
    ~network() { $_close(&net); }
    network(const network &) = delete;
    network &operator=(const network &) = delete;
};

} // namespace

int main(int argc, char **argv)
try {
    if (argc < 4)
        return 2;
    const int shape[@_PIXELS_RANK] = @_PIXELS_SHAPE;
    const float mean[] = @_PIXELS_MEAN, deviation[] = @_PIXELS_STD;
    static_assert(sizeof mean == sizeof deviation && @_PIXELS_RANGE > 0.0f, "one number a channel");
    std::size_t elements = 1;
    for (int size : shape)
        elements *= static_cast<std::size_t>(size);
    if (elements != @_PIXELS_ELEMENTS || $_workspace_size() != sizeof workspace)
        return 3;
    std::ifstream file(argv[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::size_t images = bytes.size() / sizeof(float) / elements;
    const std::vector<float> pixels(reinterpret_cast<const float *>(bytes.data()),
                                    reinterpret_cast<const float *>(bytes.data()) + images * elements);
    std::vector<float> logits(images * @_LOGITS_ELEMENTS);
    const network opened;
    for (std::size_t i = 0; i < images; i++)
        check($_run(&opened.net, workspace, &pixels[i * elements], &logits[i * @_LOGITS_ELEMENTS], std::atoi(argv[3])));
    std::ofstream(argv[2], std::ios::binary)
        .write(reinterpret_cast<const char *>(logits.data()),
               static_cast<std::streamsize>(logits.size() * sizeof(float)));
    for (const char *label : $_logits_labels)
        std::printf("%s\n", label);
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
