// Writes the stream of a raw field of 16x64x96 floats, as C++ makes it: identical FIELD STREAM
#include <fieldpress.hpp>

#include <fstream>

int main(int argc, char **argv)
{
  std::vector<float> values(16 * 64 * 96);
  if (argc != 3 ||
      !std::ifstream(argv[1], std::ios::binary).read(reinterpret_cast<char *>(values.data()), long(values.size() * 4)))
    return 2;
  const auto stream = fieldpress::codec().compress(fieldpress::view(values.data(), {16, 64, 96}), fieldpress::rel(1e-3));
  std::ofstream file(argv[2], std::ios::binary);
  file.write(reinterpret_cast<const char *>(stream.data()), long(stream.size()));
  return file ? 0 : 2;
}
