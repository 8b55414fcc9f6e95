// The life cycle in C++: compress a field under an error bound, look at the stream, decompress all of it and a part,
// check.

#include <fieldpress.hpp>

#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

int main()
try
{
  constexpr std::size_t nt = 16, ny = 60, nx = 90;
  std::vector<float> original(nt * ny * nx);
  for (std::size_t t = 0; t < nt; ++t)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < nx; ++x)
        original[(t * ny + y) * nx + x] = static_cast<float>(280 + 10 * std::sin(0.1 * x + 0.2 * t) * std::cos(0.05 * y));

  const fieldpress::codec codec("threads=1");

  // Every value within 0.01 of the original, in the field's units.
  const double tolerance = 0.01;
  fieldpress::report report;
  const std::vector<std::byte> stream =
    codec.compress(fieldpress::view(original.data(), {nt, ny, nx}), fieldpress::abs(tolerance), &report);
  std::printf("%zu bytes of %zu, largest error %g\n", stream.size(), original.size() * sizeof(float),
              report.max_abs_error);

  // The stream describes itself.
  if (fieldpress::output_dims(stream) != fieldpress::extents{nt, ny, nx} ||
      fieldpress::inspect(stream).bound_value != tolerance)
    throw std::runtime_error("the header differs from the field");

  const std::vector<float> decoded = codec.decompress<float>(stream);
  for (std::size_t i = 0; i < original.size(); ++i)
    if (std::fabs(double(original[i]) - double(decoded[i])) > tolerance)
      throw std::runtime_error("the error is larger than promised");

  // A corner of the last frame.
  const std::vector<float> corner = codec.decompress<float>(stream, {{nt - 1, 0, 0}, {1, 20, 30}});
  if (corner.size() != 20 * 30 || corner[0] != decoded[(nt - 1) * ny * nx])
    throw std::runtime_error("the corner differs from the field");
  return 0;
}
catch (const std::exception &error)
{
  std::printf("%s\n", error.what());
  return 1;
}
