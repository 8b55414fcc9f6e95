// The C++ headers: what their types promise, every error as an exception, views with strides, moves, windows of time
// steps, archives by one process.

#include <fieldpress_archive.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace fp = fieldpress;

#include "../../check.h"

static_assert(std::is_nothrow_move_constructible_v<fp::codec> && std::is_nothrow_move_assignable_v<fp::codec>);
static_assert(!std::is_copy_constructible_v<fp::codec> && !std::is_copy_constructible_v<fp::step_stream>);
static_assert(std::is_nothrow_move_constructible_v<fp::step_stream>);
static_assert(std::is_nothrow_move_constructible_v<fp::archive> && !std::is_copy_constructible_v<fp::archive>);
static_assert(std::is_nothrow_move_constructible_v<fp::reader> && !std::is_copy_constructible_v<fp::reader>);
static_assert(noexcept(fp::abs(1)) && noexcept(fp::version()) && noexcept(fp::span<int>().size()));
static_assert(std::is_convertible_v<fp::field_view<float>, fp::field_view<const float>>);
static_assert(!std::is_convertible_v<fp::field_view<const float>, fp::field_view<float>>);

template <class Call>
static void fails(fieldpress_status status, const char *word, Call call)
{
  try
  {
    call();
  }
  catch (const fp::error &error)
  {
    if (error.status() == status && std::strstr(error.what(), word) != nullptr)
      return;
    std::printf("status %d, '%s'; expected %d and a word on '%s'\n", int(error.status()), error.what(), int(status), word);
    std::exit(1);
  }
  std::printf("no error; expected one on '%s'\n", word);
  std::exit(1);
}

template <class T>
static std::vector<T> wave(std::size_t nt, std::size_t ny, std::size_t nx)
{
  std::vector<T> values;
  for (std::size_t t = 0; t < nt; ++t)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < nx; ++x)
        values.push_back(T(20 + 5 * std::sin(0.11 * x + 0.3 * t) * std::cos(0.07 * y)));
  return values;
}

template <class T>
static void round_trips(const fp::codec &codec)
{
  const auto values = wave<T>(8, 30, 40);
  const fp::field_view<const T> field(values.data(), {8, 30, 40});
  fp::report report;
  const auto stream = codec.compress(field, fp::nrmse(1e-3), &report);
  CHECK(report.stream_bytes == stream.size() && stream.size() < values.size() * sizeof(T));
  CHECK(report.nrmse <= 1e-3);

  // The caller's buffer gets the same bytes.
  std::vector<std::byte> buffer(fp::compress_bound(field));
  CHECK(codec.compress(field, fp::ratio(8)).size() <= values.size() * sizeof(T) / 8);
  const auto part = codec.compress(field, fp::nrmse(1e-3), fp::span<std::byte>(buffer));
  CHECK(part.data() == buffer.data() && part.size() == stream.size());
  CHECK(std::memcmp(part.data(), stream.data(), stream.size()) == 0);

  // Into the interior of a larger array, whose margin stays as it was.
  std::vector<T> larger(8 * 34 * 44, T(-1));
  codec.decompress(stream, fp::view(&larger[2 * 44 + 2], {8, 30, 40}, {34 * 44, 44, 1}));
  const auto decoded = codec.decompress<T>(stream);
  for (std::size_t t = 0; t < 8; ++t)
    for (std::size_t y = 0; y < 34; ++y)
      for (std::size_t x = 0; x < 44; ++x)
      {
        const bool inside = y >= 2 && y < 32 && x >= 2 && x < 42;
        CHECK(larger[(t * 34 + y) * 44 + x] == (inside ? decoded[(t * 30 + y - 2) * 40 + x - 2] : T(-1)));
      }

  const fp::request quarter{{}, {}, 4};
  CHECK(fp::output_dims(stream, quarter) == (fp::extents{8, 8, 10}));
  CHECK(codec.decompress<T>(stream, quarter).size() == 8 * 8 * 10);
}

static void errors(const fp::codec &codec)
{
  const auto values = wave<float>(4, 20, 20);
  const auto field = fp::view(values.data(), {4, 20, 20});
  fails(FIELDPRESS_INVALID_ARGUMENT, "effort", [] { fp::codec("effort=9"); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "6 dimensions", [] { fp::extents{1, 2, 3, 4, 5, 6}; });
  fails(FIELDPRESS_INVALID_ARGUMENT, "strides", [&] { fp::view(values.data(), {4, 20, 20}, {20, 1}); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "greater than 0", [&] { codec.compress(field, fp::abs(-1)); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "zero", [&] { codec.compress(fp::view(values.data(), {0, 20}), fp::abs(1)); });
  fails(FIELDPRESS_MODEL, "no/such/model", [&] {
    fp::codec("model=no/such/model").compress(field, fp::abs(1));
  });
  std::byte small[8];
  fails(FIELDPRESS_BUFFER_TOO_SMALL, "8 bytes", [&] { codec.compress(field, fp::abs(1), fp::span<std::byte>(small, 8)); });

  auto stream = codec.compress(field, fp::abs(0.1));
  fails(FIELDPRESS_INVALID_ARGUMENT, "type", [&] { codec.decompress<double>(stream); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "start and count", [&] { fp::output_dims(stream, {{0}, {1, 2}}); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "", [&] { codec.decompress<float>(stream, {{0, 0, 0}, {5, 20, 20}}); });
  fails(FIELDPRESS_CORRUPT, "", [&] { fp::inspect(fp::span<const std::byte>(stream.data(), 20)); });
  stream[stream.size() / 2] ^= std::byte{1};
  fails(FIELDPRESS_CORRUPT, "", [&] { codec.decompress<float>(stream); });
}

static void time_steps(fp::codec codec)
{
  const auto values = wave<double>(10, 20, 30);
  auto steps = fp::step_stream::of<double>(codec, {20, 30}, 4, fp::abs(1e-3));
  std::vector<std::vector<std::byte>> windows;
  fp::codec elsewhere = std::move(codec); // the stream does not depend on the owner's place
  for (std::size_t t = 0; t < 10; ++t)
  {
    const auto window = steps.push(fp::view(&values[t * 600], {20, 30}));
    CHECK(window.empty() == (t % 4 != 3));
    if (!window.empty())
      windows.emplace_back(window.begin(), window.end());
  }
  fp::report report;
  const auto rest = steps.flush(&report);
  CHECK(report.stream_bytes == rest.size());
  windows.emplace_back(rest.begin(), rest.end());
  CHECK(steps.flush().empty());
  for (std::size_t w = 0; w < 3; ++w)
  {
    const std::size_t count = w < 2 ? 4 : 2;
    CHECK(windows[w] == elsewhere.compress(fp::view(&values[w * 4 * 600], {count, 20, 30}), fp::abs(1e-3)));
  }
  fails(FIELDPRESS_INVALID_ARGUMENT, "shape", [&] { steps.push(fp::view(values.data(), {30, 20})); });
}

static void archives()
{
  const std::string path = "cpp-api.fpa";
  const auto values = wave<double>(3, 20, 30);
  const std::vector<float> singles(7, 2.5f);
  const std::vector<double> origin{0.5, -1.5, 1e300};
  {
    fp::archive first(path, "mode=replace;threads=1;window=2");
    fp::archive archive = std::move(first);
    const auto u = archive.define<double>("u", {20, 30});
    const auto s = archive.define<float>("s", {7});
    archive.set("title", "waves");
    archive.set_dimensions(u, {"y", "x"});
    archive.set_coordinate("y", std::vector<double>(20, 0.25), "km");
    archive.set_coordinate("area", std::vector<double>(600, 1.5), {}, {"y", "x"});
    archive.set_time_units("days since 2000-01-01", "noleap");
    archive.set("origin", fp::span<const double>(origin.data(), origin.size()), u);
    fails(FIELDPRESS_INVALID_ARGUMENT, "u", [&] { archive.define<float>("u", {20, 30}); });
    for (std::size_t t = 0; t < 3; ++t)
    {
      archive.begin_step(0.5 * double(t));
      // Two boxes, out of an array with longer rows.
      archive.put(u, {0, 0}, fp::view(&values[t * 600], {20, 15}, {30, 1}), fp::lossless());
      archive.put(u, {0, 15}, fp::view(&values[t * 600 + 15], {20, 15}, {30, 1}), fp::lossless());
      archive.put(s, {0}, fp::view(singles.data(), {7}), fp::abs(0.5));
      const fp::step_report report = archive.end_step();
      CHECK(report.steps == (t == 1 ? 2 : 0));
    }
    CHECK(archive.committed_steps() == 2);
    CHECK(archive.flush().chunks == 3);
    archive.begin_step(9);
    fails(FIELDPRESS_INVALID_ARGUMENT, "axis 0", [&] {
      archive.put(u, {1, 0}, fp::view(values.data(), {20, 30}), fp::lossless());
    });
    fails(FIELDPRESS_INVALID_ARGUMENT, "dimensions", [&] {
      archive.put(u, {0}, fp::view(values.data(), {20, 30}), fp::lossless());
    });
    fails(FIELDPRESS_INVALID_ARGUMENT, "axis 0", [&] { archive.end_step(); });
    // What only this header sees drops the step, too.
    archive.begin_step(9);
    fails(FIELDPRESS_INVALID_ARGUMENT, "dimensions", [&] {
      archive.put(u, {0}, fp::view(values.data(), {20, 30}), fp::lossless());
    });
    fails(FIELDPRESS_INVALID_ARGUMENT, "the box's start", [&] { archive.end_step(); });
    archive.close();
  }
  fails(FIELDPRESS_IO, "exists", [&] { fp::archive again(path); });
  fails(FIELDPRESS_IO, "no/such", [] { fp::reader missing("no/such/archive"); });

  const fp::reader reader(path, "threads=1");
  CHECK(reader.variables() == 2 && reader.steps() == 3);
  const auto u = reader.find("u");
  const fp::variable_info info = reader.variable(u);
  CHECK(info.ndim == 2 && info.dims[0] == 20 && info.dims[1] == 30 && info.dtype == FIELDPRESS_F64);
  CHECK(std::strcmp(info.name, "u") == 0 && reader.time(2) == 1.0);
  CHECK(reader.text("title") == "waves" && reader.reals("origin", u) == origin);
  CHECK(reader.text("_dimensions", u) == "y,x" && reader.text("_coordinate.area._dimensions") == "y,x");
  CHECK(reader.reals("_coordinate.y") == std::vector<double>(20, 0.25) && reader.text("_coordinate.y.units") == "km");
  CHECK(reader.text("time.units") == "days since 2000-01-01" && reader.text("time.calendar") == "noleap");
  fails(FIELDPRESS_INVALID_ARGUMENT, "no attribute", [&] { reader.text("origin"); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "text", [&] { reader.reals("title"); });
  fails(FIELDPRESS_INVALID_ARGUMENT, "'w'", [&] { reader.find("w"); });
  for (std::size_t t = 0; t < 3; ++t)
    CHECK(reader.read<double>(u, t) == std::vector<double>(&values[t * 600], &values[t * 600] + 600));
  fails(FIELDPRESS_INVALID_ARGUMENT, "type", [&] { reader.read<float>(u, 0); });
  // A point region over all steps, into every second place of an array.
  std::vector<double> series(3 * 2 * 4);
  reader.read(u, 0, 3, {4, 14}, {2, 2}, fp::view(series.data(), {3, 2, 2}, {8, 4, 2}));
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t y = 0; y < 2; ++y)
      for (std::size_t x = 0; x < 2; ++x)
        CHECK(series[t * 8 + y * 4 + x * 2] == values[t * 600 + (y + 4) * 30 + x + 14] && series[t * 8 + y * 4 + 1] == 0);
}

int main()
{
  CHECK(!fp::version().empty());
  archives();
  const fp::codec codec("threads=1;fm=off");
  round_trips<float>(codec);
  round_trips<double>(codec);
  errors(codec);
  time_steps(fp::codec("threads=1;fm=off"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&codec] { round_trips<float>(codec); });
  for (auto &thread : threads)
    thread.join();
  return 0;
}
