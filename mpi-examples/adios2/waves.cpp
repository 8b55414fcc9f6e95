// Waves in a box, written by all ranks through ADIOS2 with the fieldpress operator, one BP file for each rank.
//
//   ADIOS2_PLUGIN_PATH=... mpirun -n 4 adios2_waves write waves     waves.0.bp to waves.3.bp
//   ADIOS2_PLUGIN_PATH=... mpirun -n 3 adios2_waves read waves      by another number of ranks, without a parameter
//
// Both print the same line for each step; reading also checks the bound at every point. One file for each rank, because
// the ADIOS2 of PyPI is built without MPI; with one that has it, adios2::ADIOS(MPI_COMM_WORLD) and one name for all
// ranks is the only difference (mpi-examples/README.md).
#include <adios2.h>
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace
{
constexpr std::size_t nz = 37, ny = 48, nx = 64; // not a multiple of most numbers of ranks
constexpr int steps = 4;
constexpr double epsilon = 1e-3; // of the bound: of the global field's range, at every point

double wave(std::size_t z, std::size_t y, std::size_t x, int step)
{
  const double t = 0.3 * step;
  // Grows along z, so that the ranks' own ranges differ much.
  const double height = 0.1 * double(z + 1) * (1 + 0.2 * step);
  return t + height * std::sin(0.17 * double(x) + 0.11 * double(z) - t) * std::cos(0.13 * double(y) + 0.5 * t);
}

// What all ranks have together: the sum, the smallest and the largest.
struct summary
{
  double sum = 0, least = INFINITY, most = -INFINITY;

  void add(double value)
  {
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  summary of_all() const
  {
    summary all;
    MPI_Allreduce(&sum, &all.sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(&least, &all.least, 1, MPI_DOUBLE, MPI_MIN, MPI_COMM_WORLD);
    MPI_Allreduce(&most, &all.most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
  }
  void print(int step) const
  {
    std::printf("step %d  mean %.2f  from %.1f to %.1f\n", step, sum / double(nz * ny * nx), least, most);
  }
};

std::string file_of(const std::string &name, int rank) { return name + "." + std::to_string(rank) + ".bp"; }

void write(const std::string &name, int rank, int ranks)
{
  const std::size_t first = std::size_t(rank) * nz / ranks, slabs = std::size_t(rank + 1) * nz / ranks - first;
  adios2::ADIOS adios;
  auto io = adios.DeclareIO("output");
  io.SetEngine("BP5");
  // The whole domain, of which this file has one block.
  auto u = io.DefineVariable<double>("u", {nz, ny, nx}, {first, 0, 0}, {slabs, ny, nx});
  io.DefineAttribute<int>("ranks", ranks);
  auto file = io.Open(file_of(name, rank), adios2::Mode::Write);
  std::vector<double> values(slabs * ny * nx);
  for (int step = 0; step < steps; ++step)
  {
    summary own;
    for (std::size_t k = 0; k < values.size(); ++k)
    {
      values[k] = wave(first + k / (ny * nx), k / nx % ny, k % nx, step);
      own.add(values[k]);
    }
    // REL is to mean the global field, and an operator sees its own block only: it is told the global range.
    const summary all = own.of_all();
    u.RemoveOperations();
    u.AddOperation("plugin", {{"PluginName", "fieldpress"},
                              {"PluginLibrary", "fieldpress_adios2"},
                              {"mode", "REL"},
                              {"accuracy", std::to_string(epsilon)},
                              {"range", std::to_string(all.most - all.least)},
                              {"threads", "1"}});
    file.BeginStep();
    file.Put(u, values.data());
    file.EndStep();
    if (rank == 0)
      all.print(step);
  }
  file.Close();
}

// The files in turn; there may be more of them than ranks, or fewer.
void read(const std::string &name, int rank, int ranks)
{
  summary own[steps];
  double largest[steps] = {}, of_all[steps] = {};
  int written_by = 1;
  for (int k = 0; k < written_by; ++k)
  {
    adios2::ADIOS adios;
    auto io = adios.DeclareIO("input");
    auto file = io.Open(file_of(name, k), adios2::Mode::ReadRandomAccess);
    written_by = io.InquireAttribute<int>("ranks").Data().at(0);
    if (k % ranks != rank)
      continue;
    auto u = io.InquireVariable<double>("u");
    for (int step = 0; step < steps; ++step)
    {
      u.SetStepSelection({std::size_t(step), 1});
      for (const auto &block : file.BlocksInfo(u, std::size_t(step)))
      {
        std::vector<double> values;
        u.SetSelection({block.Start, block.Count});
        file.Get(u, values, adios2::Mode::Sync);
        for (std::size_t i = 0; i < values.size(); ++i)
        {
          own[step].add(values[i]);
          const double exact = wave(block.Start[0] + i / (ny * nx), i / nx % ny, i % nx, step);
          largest[step] = std::max(largest[step], std::fabs(values[i] - exact));
        }
      }
    }
    file.Close();
  }
  MPI_Allreduce(largest, of_all, steps, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  for (int step = 0; step < steps; ++step)
  {
    summary exact;
    for (std::size_t k = 0; k < nz * ny * nx; ++k)
      exact.add(wave(k / (ny * nx), k / nx % ny, k % nx, step));
    const double allowed = epsilon * (exact.most - exact.least);
    // Used up, not merely met: so the range that counted was the global one.
    if (of_all[step] > allowed || of_all[step] < 0.5 * allowed)
      throw std::runtime_error("the largest error is " + std::to_string(of_all[step]) + "; allowed are " +
                               std::to_string(allowed));
    const summary all = own[step].of_all();
    if (rank == 0)
      all.print(step);
  }
}
} // namespace

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  try
  {
    if (argc != 3)
      throw std::runtime_error("usage: adios2_waves write|read NAME");
    std::strcmp(argv[1], "read") == 0 ? read(argv[2], rank, ranks) : write(argv[2], rank, ranks);
  }
  catch (const std::exception &problem)
  {
    // On this rank alone, perhaps: the others would wait for it.
    std::fprintf(stderr, "adios2_waves: %s\n", problem.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return 0;
}
