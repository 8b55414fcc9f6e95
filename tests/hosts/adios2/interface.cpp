// The operator through its plugin interface, as ADIOS2 loads it: what ADIOS2 2.12 does not pass on to plugins
// (accuracies) and what cannot be seen from outside (sizes, memory, time beside the bare C call).
//
//   test_adios2_interface LIBRARY           checks
//   test_adios2_interface LIBRARY measure   prints the overhead over the bare C call

#include <adios2/plugin/PluginOperatorInterface.h>
#include <fieldpress.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <vector>

#include "../../check.h"

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
// Every allocation of the process, the plugin's among them, goes through these.
static std::atomic<size_t> allocated{0};
extern "C" void *__libc_malloc(size_t);
extern "C" void *__libc_calloc(size_t, size_t);
extern "C" void *__libc_realloc(void *, size_t);
extern "C" void *__libc_memalign(size_t, size_t);
extern "C" void *malloc(size_t bytes)
{
  allocated += bytes;
  return __libc_malloc(bytes);
}
extern "C" void *calloc(size_t count, size_t bytes)
{
  allocated += count * bytes;
  return __libc_calloc(count, bytes);
}
extern "C" void *realloc(void *old, size_t bytes)
{
  allocated += bytes;
  return __libc_realloc(old, bytes);
}
extern "C" int posix_memalign(void **out, size_t alignment, size_t bytes)
{
  allocated += bytes;
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
extern "C" void *aligned_alloc(size_t alignment, size_t bytes)
{
  allocated += bytes;
  return __libc_memalign(alignment, bytes);
}
#endif

using adios2::plugin::PluginOperatorInterface;

static PluginOperatorInterface *(*create)(const adios2::Params &);
static void (*destroy)(PluginOperatorInterface *);

struct Operator
{
  explicit Operator(const adios2::Params &parameters) : plugin(create(parameters), destroy) {}
  PluginOperatorInterface *operator->() const { return plugin.get(); }
  std::unique_ptr<PluginOperatorInterface, void (*)(PluginOperatorInterface *)> plugin;
};

constexpr size_t nt = 16, ny = 256, nx = 256, count = nt * ny * nx;

static std::vector<float> field()
{
  std::vector<float> values(count);
  unsigned state = 1;
  for (size_t t = 0; t < nt; ++t)
    for (size_t y = 0; y < ny; ++y)
      for (size_t x = 0; x < nx; ++x)
      {
        state = state * 1664525u + 1013904223u;
        values[(t * ny + y) * nx + x] =
          float(5 * std::sin(0.11 * double(x) + 0.3 * double(t)) * std::cos(0.07 * double(y)) + 1e-3 * (state >> 8) / 16777216.0);
      }
  return values;
}

// The larger of the errors of values and their copy, and the root mean square one.
static void errors(const std::vector<float> &a, const std::vector<float> &b, double &largest, double &rms)
{
  largest = rms = 0;
  for (size_t i = 0; i < a.size(); ++i)
  {
    const double error = std::fabs(double(a[i]) - double(b[i]));
    largest = std::max(largest, error);
    rms += error * error;
  }
  rms = std::sqrt(rms / double(a.size()));
}

static void accuracies(const std::vector<float> &values)
{
  const auto near = [](double a, double b) { return std::fabs(a - b) <= 1e-9 * std::fabs(b) + 1e-300; };
  const double range = double(*std::max_element(values.begin(), values.end())) -
                       double(*std::min_element(values.begin(), values.end()));
  for (const double norm : {0.0, double(INFINITY)})
    for (const bool relative : {false, true})
    {
      Operator writer({{"accuracy", "0.01"}, {"effort", "0"}});
      writer->SetAccuracy({0.0, norm, relative});
      std::vector<char> block(writer->GetEstimatedSize(count, 4, 3, std::vector<size_t>{nt, ny, nx}.data()));
      const size_t bytes = writer->Operate(reinterpret_cast<const char *>(values.data()), {0, 0, 0}, {nt, ny, nx},
                                           adios2::DataType::Float, block.data());
      Operator reader(adios2::Params{});
      reader->SetAccuracy({1e-9, norm, relative}); // more than was kept: what is provided says so
      std::vector<float> decoded(count);
      CHECK(reader->InverseOperate(block.data(), bytes, reinterpret_cast<char *>(decoded.data())) == count * 4);
      double largest, rms;
      errors(values, decoded, largest, rms);
      CHECK(largest <= 0.01);
      const double expected = (norm == 0.0 ? rms : largest) / (relative ? range : 1.0);
      for (const auto &op : {std::cref(writer), std::cref(reader)})
      {
        const adios2::Accuracy provided = op.get()->GetAccuracy();
        CHECK(provided.norm == norm && provided.relative == relative && near(provided.error, expected));
      }
    }

  // A requested accuracy is the bound where no parameter is.
  Operator requested(adios2::Params{{"effort", "0"}});
  requested->SetAccuracy({1e-3, INFINITY, true});
  std::vector<char> block(requested->GetEstimatedSize(count, 4, 3, std::vector<size_t>{nt, ny, nx}.data()));
  const size_t bytes = requested->Operate(reinterpret_cast<const char *>(values.data()), {0, 0, 0}, {nt, ny, nx},
                                          adios2::DataType::Float, block.data());
  const fieldpress::info info =
    fieldpress::inspect(fieldpress::span<const std::byte>(reinterpret_cast<const std::byte *>(block.data()), bytes));
  CHECK(info.bound_kind == FIELDPRESS_BOUND_REL && info.bound_value == 1e-3);
}

static void sizes()
{
  Operator op(adios2::Params{{"accuracy", "1"}});
  const std::vector<size_t> dims{nt, ny, nx};
  const size_t estimate = op->GetEstimatedSize(count, 4, 3, dims.data());
  CHECK(estimate >= count * 4 && estimate <= count * 4 + 64);
  CHECK(op->GetEstimatedSize(0, 4, 3, std::vector<size_t>{0, ny, nx}.data()) <= 64);
  char nothing = 7;
  CHECK(op->Operate(nullptr, {0}, {0, 8}, adios2::DataType::Float, &nothing) == 0);
  CHECK(op->InverseOperate(&nothing, 0, &nothing) != 0 && nothing == 7);
  for (const auto type : {adios2::DataType::Float, adios2::DataType::Double, adios2::DataType::FloatComplex,
                          adios2::DataType::DoubleComplex})
    CHECK(op->IsDataTypeValid(type));
  for (const auto type : {adios2::DataType::Int32, adios2::DataType::LongDouble, adios2::DataType::String})
    CHECK(!op->IsDataTypeValid(type));
}

// The operator allocates what the bare C call does, and nothing of the block's size beside it: the block is read where
// it lies.
static void no_copy(const std::vector<float> &values)
{
#ifdef COUNTS_ALLOCATIONS
  const std::vector<size_t> dims{nt, ny, nx};
  Operator op({{"accuracy", "0.01"}, {"threads", "1"}, {"fm", "off"}});
  const fieldpress::codec codec("threads=1;fm=off");
  const auto view = fieldpress::view(values.data(), {nt, ny, nx});
  std::vector<std::byte> stream(fieldpress::compress_bound(view));
  std::vector<char> block(op->GetEstimatedSize(count, 4, 3, dims.data()));
  const auto bytes_of = [](auto call) {
    const size_t before = allocated;
    call();
    return allocated - before;
  };
  const auto bare = [&] { codec.compress(view, fieldpress::abs(0.01), fieldpress::span<std::byte>(stream)); };
  const auto hosted = [&] {
    op->GetEstimatedSize(count, 4, 3, dims.data());
    op->Operate(reinterpret_cast<const char *>(values.data()), {0, 0, 0}, {nt, ny, nx}, adios2::DataType::Float,
                block.data());
  };
  bare(), hosted();
  const size_t of_bare = bytes_of(bare), of_hosted = bytes_of(hosted);
  std::printf("bytes allocated: C call %zu, operator %zu, block %zu\n", of_bare, of_hosted, count * sizeof(float));
  CHECK(of_bare > 0 && of_hosted > 0);
  CHECK(of_hosted < of_bare + count * sizeof(float) / 100);
#else
  (void)values;
#endif
}

struct Run
{
  double seconds;
  size_t bytes;
};

static double seconds_of_process()
{
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

template <class Call>
static Run timed(Call call)
{
  const double begin = seconds_of_process();
  const size_t bytes = call();
  return {seconds_of_process() - begin, bytes};
}

static double median(std::vector<double> values)
{
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The operator beside the bare C call, turn about, so that both see the same machine: the median of the ratios of
// pairs.
static void measure(const std::vector<float> &values)
{
  for (const char *effort : {"0", "1"})
  {
    Operator op({{"accuracy", "0.01"}, {"effort", effort}, {"threads", "1"}, {"fm", "off"}});
    const fieldpress::codec codec(std::string("threads=1;fm=off;effort=") + effort);
    const auto view = fieldpress::view(values.data(), {nt, ny, nx});
    std::vector<std::byte> stream(fieldpress::compress_bound(view));
    const std::vector<size_t> dims{nt, ny, nx};
    std::vector<char> block(op->GetEstimatedSize(count, 4, 3, dims.data()));
    const auto bare = [&] { return codec.compress(view, fieldpress::abs(0.01), fieldpress::span<std::byte>(stream)).size(); };
    const auto hosted = [&] {
      op->GetEstimatedSize(count, 4, 3, dims.data());
      return op->Operate(reinterpret_cast<const char *>(values.data()), {0, 0, 0}, {nt, ny, nx}, adios2::DataType::Float,
                         block.data());
    };
    bare(), hosted();
    std::vector<double> ratios;
    for (int i = 0; i < 41; ++i)
    {
      // The first of a pair is the other one each time.
      const bool bare_first = i % 2 == 0;
      Run a{}, b{};
      if (bare_first)
        a = timed(bare), b = timed(hosted);
      else
        b = timed(hosted), a = timed(bare);
      CHECK(a.bytes == b.bytes && std::memcmp(stream.data(), block.data(), a.bytes) == 0);
      ratios.push_back(b.seconds / a.seconds);
    }
    std::sort(ratios.begin(), ratios.end());
    std::printf("effort %s: operator over C call, CPU time: median of %zu pairs %.4f, quartiles %.4f to %.4f\n", effort,
                ratios.size(), median(ratios), ratios[ratios.size() / 4], ratios[ratios.size() * 3 / 4]);
  }
}

int main(int argc, char **argv)
{
  CHECK(argc >= 2);
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
  {
    std::printf("%s\n", dlerror());
    return 1;
  }
  *reinterpret_cast<void **>(&create) = dlsym(library, "OperatorCreate");
  *reinterpret_cast<void **>(&destroy) = dlsym(library, "OperatorDestroy");
  CHECK(create != nullptr && destroy != nullptr);
  const auto values = field();
  if (argc == 3 && std::strcmp(argv[2], "measure") == 0)
  {
    measure(values);
    return 0;
  }
  accuracies(values);
  sizes();
  no_copy(values);
  return 0;
}
