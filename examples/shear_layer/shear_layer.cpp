// A shear layer that rolls up, and the tracer that it winds: a simulation that compresses while it runs. Every few
// steps it hands its fields to a fieldpress archive, which codes a window of outputs at a time and commits it to the
// file.
//
// The fluid is a lattice Boltzmann model of nine velocities with one relaxation time (Qian, d'Humieres and Lallemand,
// Europhys. Lett. 17, 1992), the tracer one of five on the same lattice; both are periodic. The two layers are those of
// Minion and Brown (J. Comput. Phys. 138, 1997), disturbed by seven waves.
//
//   shear_layer OUTPUT [size=256] [outputs=48] [steps=150] [spinup=3000] [window=16] [bound=nrmse=1e-3] [options=]
//               [verify=0]
//
//   steps      solver steps between outputs      spinup     solver steps before the first
//   window     outputs that are coded and committed together
//   bound      abs=E, rel=E, nrmse=E; none: the fields as they are, a raw file for each in the folder OUTPUT
//   options    of the archive, for example options=fm=off
//   verify     1: keep the fields, read the archive back, and fail where an error is above the bound
//
// Prints, for a script, as JSON: bytes on disk, seconds of the solver and of writing.

#include <fieldpress_archive.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using real = float;

// A square of n by n cells with one ghost cell around, so that the solver's loops need no case for the edges.
class lattice_field
{
public:
  explicit lattice_field(std::size_t n) : stride_(n + 2), values_((n + 2) * (n + 2)) {}
  real *row(std::size_t y) { return values_.data() + (y + 1) * stride_ + 1; }
  std::size_t stride() const { return stride_; }

  // Copies the edges to the opposite ghost cells.
  void wrap()
  {
    const std::size_t n = stride_ - 2;
    for (std::size_t y = 0; y < n; ++y)
    {
      row(y)[-1] = row(y)[n - 1];
      row(y)[n] = row(y)[0];
    }
    std::copy_n(row(n - 1) - 1, stride_, values_.data());
    std::copy_n(row(0) - 1, stride_, row(n - 1) - 1 + stride_);
  }

private:
  std::size_t stride_;
  std::vector<real> values_;
};

class shear_layer
{
public:
  explicit shear_layer(std::size_t n)
      : n_(n), flow_(9, lattice_field(n)), next_flow_(flow_), tracer_(5, lattice_field(n)), next_tracer_(tracer_),
        u_(n * n), v_(n * n), c_(n * n)
  {
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x)
      {
        const double across = (double(y) + 0.5) / double(n), along = (double(x) + 0.5) / double(n);
        const double lower = across - 0.25, upper = 0.75 - across;
        const double profile = std::tanh(60 * (across < 0.5 ? lower : upper));
        double waves = 0;
        for (int k = 1; k <= 7; ++k)
          waves += std::sin(2 * std::acos(-1.0) * k * along + 1.3 * k * k) / k;
        const double at_layers = std::exp(-200 * lower * lower) + std::exp(-200 * upper * upper);
        const real u = real(speed * profile), v = real(0.03 * speed * waves * at_layers), c = real(0.5 * (1 + profile));
        for (std::size_t k = 0; k < 9; ++k)
          flow_[k].row(y)[x] = flow_equilibrium(k, 1, u, v);
        for (std::size_t k = 0; k < 5; ++k)
          tracer_[k].row(y)[x] = tracer_equilibrium(k, c, u, v);
      }
  }

  // Streaming and collision in one sweep.
  void step()
  {
    for (auto &population : flow_)
      population.wrap();
    for (auto &population : tracer_)
      population.wrap();
    for (std::size_t y = 0; y < n_; ++y)
      sweep_row(y);
    flow_.swap(next_flow_);
    tracer_.swap(next_tracer_);
  }

  // Velocity along and across the layers, in cells a step, and the tracer's concentration: n by n values each.
  const std::vector<real> &u() const { return u_; }
  const std::vector<real> &v() const { return v_; }
  const std::vector<real> &tracer() const { return c_; }

private:
  static constexpr double speed = 0.06;                            // far below the lattice's speed of sound, 0.58
  static constexpr real viscosity = 0.003f, diffusivity = 0.003f; // cells squared a step
  static constexpr real flow_relaxation = 1 / (3 * viscosity + 0.5f), tracer_relaxation = 1 / (3 * diffusivity + 0.5f);
  static constexpr std::array<int, 9> dx{0, 1, 0, -1, 0, 1, -1, -1, 1}, dy{0, 0, 1, 0, -1, 1, 1, -1, -1};

  static constexpr real flow_equilibrium(std::size_t k, real density, real u, real v)
  {
    const real weight = k == 0 ? 4.0f / 9 : k < 5 ? 1.0f / 9 : 1.0f / 36;
    const real e = 3 * (real(dx[k]) * u + real(dy[k]) * v);
    return weight * density * (1 + e + 0.5f * e * e - 1.5f * (u * u + v * v));
  }
  static constexpr real tracer_equilibrium(std::size_t k, real c, real u, real v)
  {
    return (k == 0 ? 1.0f / 3 : 1.0f / 6) * c * (1 + 3 * (real(dx[k]) * u + real(dy[k]) * v));
  }

  void sweep_row(std::size_t y)
  {
    std::array<const real *, 9> from;
    std::array<real *, 9> to;
    std::array<const real *, 5> tracer_from;
    std::array<real *, 5> tracer_to;
    for (std::size_t k = 0; k < 9; ++k)
    {
      const std::ptrdiff_t back = dy[k] * std::ptrdiff_t(flow_[k].stride()) + dx[k];
      from[k] = flow_[k].row(y) - back;
      to[k] = next_flow_[k].row(y);
      if (k < 5)
      {
        tracer_from[k] = tracer_[k].row(y) - back;
        tracer_to[k] = next_tracer_[k].row(y);
      }
    }
    real *us = &u_[y * n_], *vs = &v_[y * n_], *cs = &c_[y * n_];
#pragma GCC ivdep
    for (std::size_t x = 0; x < n_; ++x)
    {
      const real f0 = from[0][x], f1 = from[1][x], f2 = from[2][x], f3 = from[3][x], f4 = from[4][x];
      const real f5 = from[5][x], f6 = from[6][x], f7 = from[7][x], f8 = from[8][x];
      const real density = f0 + f1 + f2 + f3 + f4 + f5 + f6 + f7 + f8;
      const real u = (f1 - f3 + f5 - f6 - f7 + f8) / density, v = (f2 - f4 + f5 + f6 - f7 - f8) / density;
      const real c = tracer_from[0][x] + tracer_from[1][x] + tracer_from[2][x] + tracer_from[3][x] + tracer_from[4][x];
      us[x] = u;
      vs[x] = v;
      cs[x] = c;
      for (std::size_t k = 0; k < 9; ++k)
        to[k][x] = from[k][x] + flow_relaxation * (flow_equilibrium(k, density, u, v) - from[k][x]);
      for (std::size_t k = 0; k < 5; ++k)
        tracer_to[k][x] = tracer_from[k][x] + tracer_relaxation * (tracer_equilibrium(k, c, u, v) - tracer_from[k][x]);
    }
  }

  std::size_t n_;
  std::vector<lattice_field> flow_, next_flow_, tracer_, next_tracer_;
  std::vector<real> u_, v_, c_;
};

static constexpr std::array<const char *, 3> names{"u", "v", "tracer"};

// Where the fields of every output go.
class writer
{
public:
  virtual ~writer() = default;
  virtual void write(double time, const shear_layer &simulation) = 0;
  // What was handed over is on stable storage when this returns.
  virtual void close() = 0;
};

// The fields as they are: one file of float32 for each.
class raw_writer : public writer
{
public:
  raw_writer(const std::string &folder, std::size_t window) : window_(window)
  {
    std::filesystem::create_directories(folder);
    for (std::size_t i = 0; i < files_.size(); ++i)
    {
      const std::string path = folder + "/" + names[i] + ".f32";
      files_[i].reset(std::fopen(path.c_str(), "wb"));
      if (!files_[i])
        throw std::runtime_error("'" + path + "' cannot be written");
    }
  }

  void write(double, const shear_layer &simulation) override
  {
    const std::vector<real> *fields[] = {&simulation.u(), &simulation.v(), &simulation.tracer()};
    for (std::size_t i = 0; i < files_.size(); ++i)
      if (std::fwrite(fields[i]->data(), sizeof(real), fields[i]->size(), files_[i].get()) != fields[i]->size())
        throw std::runtime_error("writing failed");
    if (++outputs_ % window_ == 0)
      close();
  }

  // As safe as the archive: it waits for the disk after every window of outputs.
  void close() override
  {
    for (auto &file : files_)
      if (std::fflush(file.get()) != 0 || fsync(fileno(file.get())) != 0)
        throw std::runtime_error("writing failed");
  }

private:
  struct closing
  {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };
  std::array<std::unique_ptr<std::FILE, closing>, 3> files_;
  std::size_t window_, outputs_ = 0;
};

class archive_writer : public writer
{
public:
  archive_writer(const std::string &path, const std::string &options, std::size_t n, fieldpress::bound bound)
      : archive_(path, options), n_(n), bound_(bound)
  {
    for (const char *name : names)
      variables_.push_back(archive_.define<real>(name, {n, n}));
    archive_.set("long_name", "velocity along the layers", variables_[0]);
    archive_.set("long_name", "velocity across the layers", variables_[1]);
    archive_.set("long_name", "concentration of the tracer", variables_[2]);
  }

  void write(double time, const shear_layer &simulation) override
  {
    archive_.begin_step(time);
    const std::vector<real> *fields[] = {&simulation.u(), &simulation.v(), &simulation.tracer()};
    for (std::size_t i = 0; i < variables_.size(); ++i)
      archive_.put(variables_[i], {0, 0}, fieldpress::view(fields[i]->data(), {n_, n_}), bound_);
    archive_.end_step();
  }

  void close() override { archive_.close(); }

private:
  fieldpress::archive archive_;
  std::size_t n_;
  fieldpress::bound bound_;
  std::vector<std::uint32_t> variables_;
};

// Reads the archive as an analysis would, and compares it with what was written: errors are counted, as the bound
// promises, over each window of outputs.
static void verify(const std::string &path, std::size_t n, std::size_t window, fieldpress::bound bound,
                   const std::map<std::string, std::vector<real>> &kept)
{
  const fieldpress::reader reader(path);
  const std::size_t points = n * n;
  for (const auto &[name, original] : kept)
  {
    const std::size_t outputs = original.size() / points;
    if (reader.steps() != outputs)
      throw std::runtime_error("the archive has " + std::to_string(reader.steps()) + " outputs, expected " +
                               std::to_string(outputs));
    for (std::size_t first = 0; first < outputs; first += window)
    {
      double low = original[first * points], high = low, squares = 0, largest = 0;
      const std::size_t end = std::min(first + window, outputs);
      for (std::size_t k = first; k < end; ++k)
      {
        const std::vector<real> decoded = reader.read<real>(reader.find(name), k);
        for (std::size_t i = 0; i < points; ++i)
        {
          const double x = original[k * points + i], error = std::abs(decoded[i] - x);
          low = std::min(low, x);
          high = std::max(high, x);
          squares += error * error;
          largest = std::max(largest, error);
        }
      }
      const double rms = std::sqrt(squares / double((end - first) * points));
      const double allowed = bound.value * (bound.kind == FIELDPRESS_BOUND_ABS ? 1 : high - low);
      if (!((bound.kind == FIELDPRESS_BOUND_NRMSE ? rms : largest) <= allowed))
        throw std::runtime_error("the bound of " + name + " is broken in outputs from " + std::to_string(first));
    }
  }
}

static double seconds()
{
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static std::map<std::string, std::string> arguments(int argc, char **argv)
{
  std::map<std::string, std::string> given{{"size", "256"},    {"outputs", "48"}, {"steps", "150"},
                                           {"spinup", "3000"}, {"window", "16"},  {"bound", "nrmse=1e-3"},
                                           {"options", ""},    {"verify", "0"}};
  if (argc < 2)
    throw std::runtime_error("an output is needed: shear_layer OUTPUT [name=value]...");
  for (int i = 2; i < argc; ++i)
  {
    const std::string argument = argv[i], name = argument.substr(0, argument.find('='));
    if (given.count(name) == 0 || name == argument)
      throw std::runtime_error("'" + argument + "' is not known; expected name=value, names as in the source");
    given[name] = argument.substr(name.size() + 1);
  }
  return given;
}

static fieldpress::bound parse_bound(const std::string &text)
{
  const std::size_t equals = text.find('=');
  const std::string kind = text.substr(0, equals);
  const double value = equals == std::string::npos ? 0 : std::stod(text.substr(equals + 1));
  if (kind == "abs" && value > 0)
    return fieldpress::abs(value);
  if (kind == "rel" && value > 0)
    return fieldpress::rel(value);
  if (kind == "nrmse" && value > 0)
    return fieldpress::nrmse(value);
  throw std::runtime_error("bound '" + text + "' is not known; expected abs=E, rel=E or nrmse=E, E above 0, or none");
}

int main(int argc, char **argv)
try
{
  auto given = arguments(argc, argv);
  const std::size_t n = std::stoul(given["size"]), outputs = std::stoul(given["outputs"]);
  const std::size_t steps = std::stoul(given["steps"]), window = std::stoul(given["window"]);
  if (n < 8 || window < 1)
    throw std::runtime_error("size must be at least 8, and window at least 1");
  const std::string output = argv[1];
  std::unique_ptr<writer> out;
  if (given["bound"] == "none")
    out = std::make_unique<raw_writer>(output, window);
  else
  {
    const std::string options = "mode=replace;window=" + std::to_string(window) + ";" + given["options"];
    out = std::make_unique<archive_writer>(output, options, n, parse_bound(given["bound"]));
  }

  shear_layer simulation(n);
  for (std::size_t i = 0; i < std::stoul(given["spinup"]); ++i)
    simulation.step();
  std::map<std::string, std::vector<real>> kept;
  double solving = 0, writing = 0;
  for (std::size_t k = 0; k < outputs; ++k)
  {
    const double begin = seconds();
    for (std::size_t i = 0; i < steps; ++i)
      simulation.step();
    const double solved = seconds();
    out->write(double((k + 1) * steps), simulation);
    solving += solved - begin;
    writing += seconds() - solved;
    if (given["verify"] == "1")
    {
      kept["u"].insert(kept["u"].end(), simulation.u().begin(), simulation.u().end());
      kept["v"].insert(kept["v"].end(), simulation.v().begin(), simulation.v().end());
      kept["tracer"].insert(kept["tracer"].end(), simulation.tracer().begin(), simulation.tracer().end());
    }
  }
  const double before_closing = seconds();
  out->close();
  writing += seconds() - before_closing;
  if (given["bound"] != "none" && !kept.empty())
    verify(output, n, window, parse_bound(given["bound"]), kept);

  std::uintmax_t bytes = 0;
  if (std::filesystem::is_directory(output))
    for (const auto &file : std::filesystem::directory_iterator(output))
      bytes += file.file_size();
  else
    bytes = std::filesystem::file_size(output);
  std::printf("{\"size\": %zu, \"outputs\": %zu, \"steps\": %zu, \"window\": %zu, \"bound\": \"%s\", "
              "\"solver_seconds\": %.3f, \"write_seconds\": %.3f, \"bytes\": %ju}\n",
              n, outputs, steps, window, given["bound"].c_str(), solving, writing, bytes);
  return 0;
}
catch (const std::exception &error)
{
  std::fprintf(stderr, "shear_layer: %s\n", error.what());
  return 1;
}
