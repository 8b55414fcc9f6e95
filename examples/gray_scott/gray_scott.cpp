// Gray-Scott reaction and diffusion in three dimensions, the customary example of in-situ output, writing through
// ADIOS2 with fieldpress as its operator. Two chemicals, U and V, on a periodic cube:
//
//   dU/dt = Du lap U - U V^2 + F (1 - U),   dV/dt = Dv lap V + U V^2 - (F + k) V     (Pearson, Science 261, 1993)
//
// An operator sees what one Put gives it. Two ways to give it time are shown: a Put for each output (window 1), where
// the operator sees the cube's levels, and a Put for several outputs under a leading time axis (window 8), where it
// sees how each point went on. docs/hosts.md has what that makes of the file's size.
//
//   gray_scott OUTPUT.bp [size=64] [outputs=16] [steps=20] [spinup=600] [window=1] [accuracy=0] [effort=1]
//              [originals=FILE]
//
//   steps       solver steps between outputs          spinup    solver steps before the first
//   accuracy    largest error in V; 0: no operator    originals file for V as it was, float64
//
// Prints, for a script, what was measured: seconds of the solver and of ADIOS2 for each output, and bytes on disk.

#include <adios2.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

class GrayScott
{
public:
  explicit GrayScott(const std::size_t n) : n_(n), u_(n * n * n, 1.0), v_(n * n * n, 0.0), next_u_(u_), next_v_(v_)
  {
    // A seed in the middle, a little off the symmetry axes.
    const std::size_t a = n / 2 - n / 10, b = n / 2 + n / 12 + 1;
    for (std::size_t z = a; z < b; ++z)
      for (std::size_t y = a; y < b + 2; ++y)
        for (std::size_t x = a; x < b + 1; ++x)
        {
          u_[index(z, y, x)] = 0.25;
          v_[index(z, y, x)] = 0.33;
        }
  }

  void step()
  {
    constexpr double Du = 0.2, Dv = 0.1, F = 0.02, k = 0.048, dt = 1.0;
    for (std::size_t z = 0; z < n_; ++z)
      for (std::size_t y = 0; y < n_; ++y)
        for (std::size_t x = 0; x < n_; ++x)
        {
          const std::size_t i = index(z, y, x);
          const std::size_t around[6] = {index(before(z), y, x), index(after(z), y, x), index(z, before(y), x),
                                         index(z, after(y), x),  index(z, y, before(x)), index(z, y, after(x))};
          double lap_u = -6 * u_[i], lap_v = -6 * v_[i];
          for (const std::size_t j : around)
          {
            lap_u += u_[j];
            lap_v += v_[j];
          }
          const double reaction = u_[i] * v_[i] * v_[i];
          next_u_[i] = u_[i] + dt * (Du * lap_u / 6 - reaction + F * (1 - u_[i]));
          next_v_[i] = v_[i] + dt * (Dv * lap_v / 6 + reaction - (F + k) * v_[i]);
        }
    u_.swap(next_u_);
    v_.swap(next_v_);
  }

  const std::vector<double> &v() const { return v_; }

private:
  std::size_t index(std::size_t z, std::size_t y, std::size_t x) const { return (z * n_ + y) * n_ + x; }
  std::size_t before(std::size_t i) const { return i == 0 ? n_ - 1 : i - 1; }
  std::size_t after(std::size_t i) const { return i + 1 == n_ ? 0 : i + 1; }

  std::size_t n_;
  std::vector<double> u_, v_, next_u_, next_v_;
};

static double seconds()
{
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int main(int argc, char **argv)
try
{
  std::map<std::string, std::string> given{{"size", "64"},  {"outputs", "16"}, {"steps", "20"}, {"spinup", "600"},
                                           {"window", "1"}, {"accuracy", "0"}, {"effort", "1"}, {"originals", ""}};
  if (argc < 2)
    throw std::runtime_error("an output is needed: gray_scott OUTPUT.bp [name=value]...");
  for (int i = 2; i < argc; ++i)
  {
    const std::string argument = argv[i], name = argument.substr(0, argument.find('='));
    if (given.count(name) == 0 || name == argument)
      throw std::runtime_error("'" + argument + "' is not known; expected name=value, with a name of the list in the source");
    given[name] = argument.substr(name.size() + 1);
  }
  const std::size_t n = std::stoul(given["size"]), outputs = std::stoul(given["outputs"]);
  const std::size_t steps = std::stoul(given["steps"]), window = std::stoul(given["window"]);
  if (n < 8 || window < 1 || outputs % window != 0)
    throw std::runtime_error("size must be at least 8, and outputs a multiple of window");

  adios2::ADIOS adios;
  auto io = adios.DeclareIO("output");
  // Without a window, V is a cube; with one, time comes before it.
  adios2::Dims shape{n, n, n};
  if (window > 1)
    shape.insert(shape.begin(), window);
  auto variable = io.DefineVariable<double>("V", shape, adios2::Dims(shape.size(), 0), shape, adios2::ConstantDims);
  if (given["accuracy"] != "0")
  {
    adios2::Params parameters{{"PluginName", "fieldpress"}, {"PluginLibrary", "fieldpress_adios2"},
                              {"mode", "ABS"},              {"accuracy", given["accuracy"]},
                              {"effort", given["effort"]}};
    if (window > 1)
      parameters["axes"] = "0,2,3"; // frames are time steps, not levels
    variable.AddOperation("plugin", parameters);
  }

  GrayScott simulation(n);
  for (std::size_t i = 0; i < std::stoul(given["spinup"]); ++i)
    simulation.step();

  std::ofstream originals;
  if (!given["originals"].empty())
    originals.open(given["originals"], std::ios::binary);
  std::vector<double> collected;
  double solving = 0, writing = 0;
  auto writer = io.Open(argv[1], adios2::Mode::Write);
  for (std::size_t output = 0; output < outputs; ++output)
  {
    const double begin = seconds();
    for (std::size_t i = 0; i < steps; ++i)
      simulation.step();
    const double solved = seconds();
    solving += solved - begin;

    const std::vector<double> &v = simulation.v();
    if (originals.is_open())
      originals.write(reinterpret_cast<const char *>(v.data()), std::streamsize(v.size() * sizeof(double)));

    const double before_writing = seconds();
    const double *data = v.data();
    if (window > 1)
    {
      collected.insert(collected.end(), v.begin(), v.end());
      data = collected.data();
    }
    if (window == 1 || collected.size() == window * v.size())
    {
      writer.BeginStep();
      writer.Put(variable, data, adios2::Mode::Sync);
      writer.EndStep();
      collected.clear();
    }
    writing += seconds() - before_writing;
  }
  const double before_closing = seconds();
  writer.Close();
  writing += seconds() - before_closing;

  std::uintmax_t bytes = 0;
  for (const auto &file : std::filesystem::recursive_directory_iterator(argv[1]))
    bytes += file.is_regular_file() ? file.file_size() : 0;
  const double raw = double(outputs) * double(n * n * n) * sizeof(double);
  std::printf("{\"size\": %zu, \"outputs\": %zu, \"steps\": %zu, \"window\": %zu, \"accuracy\": %s, \"solver_seconds\": %.4f, "
              "\"write_seconds\": %.4f, \"bytes\": %ju, \"ratio\": %.2f}\n",
              n, outputs, steps, window, given["accuracy"].c_str(), solving / double(outputs), writing / double(outputs),
              bytes, raw / double(bytes));
  return 0;
}
catch (const std::exception &error)
{
  std::fprintf(stderr, "gray_scott: %s\n", error.what());
  return 1;
}
