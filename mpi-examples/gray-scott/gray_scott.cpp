// Gray-Scott reaction and diffusion in three dimensions, periodic, on a 3-D grid of ranks, written to an archive.
//
//   mpirun -n 4 gray_scott write gray-scott.fpa     the simulation
//   mpirun -n 3 gray_scott read gray-scott.fpa      slabs, by another number of ranks
//
// Both print the same line for each step.
#include <fieldpress_mpi.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

namespace
{
constexpr int size = 48;             // points along each axis
constexpr int outputs = 6;           // steps written
constexpr int steps_per_output = 40; // steps of the simulation between them
constexpr double du = 0.2, dv = 0.1, feed = 0.02, kill = 0.048, dt = 1.0;
constexpr double epsilon = 1e-4; // of the bound: NRMSE of the global field

using triple = std::array<int, 3>;

// Values of a box with one halo cell on each side.
struct box
{
  triple start, count;
  std::vector<double> values;

  box(triple start, triple count)
      : start(start), count(count), values(std::size_t(count[0] + 2) * (count[1] + 2) * (count[2] + 2))
  {
  }
  std::size_t index(int z, int y, int x) const
  {
    return (std::size_t(z) * (count[1] + 2) + y) * (count[2] + 2) + x;
  }
  double &at(int z, int y, int x) { return values[index(z, y, x)]; }
  double at(int z, int y, int x) const { return values[index(z, y, x)]; }

  // The interior, where it lies.
  fieldpress::field_view<const double> interior() const
  {
    const std::size_t nz = count[0], ny = count[1], nx = count[2];
    return fieldpress::view(values.data() + index(1, 1, 1), {nz, ny, nx}, {(ny + 2) * (nx + 2), nx + 2, 1});
  }
};

// Fills the halo cells from the neighbours, axis by axis, so that edges and corners come along.
void exchange(MPI_Comm grid, box &field)
{
  for (int axis = 0; axis < 3; ++axis)
  {
    int before, after;
    MPI_Cart_shift(grid, axis, 1, &before, &after);
    const triple n{field.count[0] + 2, field.count[1] + 2, field.count[2] + 2};
    const int a = (axis + 1) % 3, b = (axis + 2) % 3;
    std::vector<double> out(std::size_t(n[a]) * n[b]), in(out.size());
    const auto plane = [&](int place, std::vector<double> &buffer, bool store) {
      triple at{};
      at[axis] = place;
      std::size_t k = 0;
      for (at[a] = 0; at[a] < n[a]; ++at[a])
        for (at[b] = 0; at[b] < n[b]; ++at[b], ++k)
        {
          double &cell = field.at(at[0], at[1], at[2]);
          store ? cell = buffer[k] : buffer[k] = cell;
        }
    };
    const int last = field.count[axis];
    const auto swap = [&](int send_plane, int to, int receive_plane, int from) {
      plane(send_plane, out, false);
      MPI_Sendrecv(out.data(), int(out.size()), MPI_DOUBLE, to, axis, in.data(), int(in.size()), MPI_DOUBLE, from, axis,
                   grid, MPI_STATUS_IGNORE);
      plane(receive_plane, in, true);
    };
    swap(last, after, 0, before);
    swap(1, before, last + 1, after);
  }
}

void step(MPI_Comm grid, box &u, box &v)
{
  exchange(grid, u);
  exchange(grid, v);
  const box u0 = u, v0 = v;
  const auto laplacian = [](const box &f, int z, int y, int x) {
    return (f.at(z - 1, y, x) + f.at(z + 1, y, x) + f.at(z, y - 1, x) + f.at(z, y + 1, x) + f.at(z, y, x - 1) +
            f.at(z, y, x + 1) - 6 * f.at(z, y, x)) / 6;
  };
  for (int z = 1; z <= u.count[0]; ++z)
    for (int y = 1; y <= u.count[1]; ++y)
      for (int x = 1; x <= u.count[2]; ++x)
      {
        const double a = u0.at(z, y, x), b = v0.at(z, y, x), reaction = a * b * b;
        u.at(z, y, x) = a + dt * (du * laplacian(u0, z, y, x) - reaction + feed * (1 - a));
        v.at(z, y, x) = b + dt * (dv * laplacian(v0, z, y, x) + reaction - (feed + kill) * b);
      }
}

// One line on rank 0: the mean of u and the largest v, over all ranks.
void print(MPI_Comm comm, double time, double sum_u, double largest_v)
{
  int rank;
  MPI_Comm_rank(comm, &rank);
  double sum = 0, largest = 0;
  MPI_Reduce(&sum_u, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, comm);
  MPI_Reduce(&largest_v, &largest, 1, MPI_DOUBLE, MPI_MAX, 0, comm);
  if (rank == 0)
    std::printf("time %6.1f  mean u %.3f  largest v %.2f\n", time, sum / std::pow(size, 3), largest);
}

void write(const std::string &path)
{
  int ranks;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  triple dims{}, periodic{1, 1, 1}, place{}, start{}, count{};
  MPI_Dims_create(ranks, 3, dims.data());
  MPI_Comm grid;
  MPI_Cart_create(MPI_COMM_WORLD, 3, dims.data(), periodic.data(), 0, &grid);
  int rank;
  MPI_Comm_rank(grid, &rank);
  MPI_Cart_coords(grid, rank, 3, place.data());
  for (int axis = 0; axis < 3; ++axis)
  {
    start[axis] = place[axis] * size / dims[axis];
    count[axis] = (place[axis] + 1) * size / dims[axis] - start[axis];
  }

  box u(start, count), v(start, count);
  for (int z = 1; z <= count[0]; ++z)
    for (int y = 1; y <= count[1]; ++y)
      for (int x = 1; x <= count[2]; ++x)
      {
        const auto near = [](int at) { return at >= size / 2 - 4 && at < size / 2 + 4; };
        const bool seed = near(start[0] + z - 1) && near(start[1] + y - 1) && near(start[2] + x - 1);
        u.at(z, y, x) = seed ? 0.25 : 1;
        v.at(z, y, x) = seed ? 0.33 : 0;
      }

  // Two steps of output are coded together; see the option window in fieldpress_archive.h.
  fieldpress::archive archive = fieldpress::open_archive(grid, path, "mode=replace;window=2;threads=1");
  const auto id_u = archive.define<double>("u", {size, size, size});
  const auto id_v = archive.define<double>("v", {size, size, size});
  std::vector<double> places(size);
  for (std::size_t k = 0; k < size; k++)
    places[k] = (k + 0.5) / size;
  for (const auto variable : {id_u, id_v})
    archive.set_dimensions(variable, {"z", "y", "x"});
  for (const char *axis : {"z", "y", "x"})
    archive.set_coordinate(axis, places);
  archive.set("model", "Gray-Scott, F = 0.02, k = 0.048");
  for (int output = 0; output < outputs; ++output)
  {
    for (int k = 0; k < steps_per_output; ++k)
      step(grid, u, v);
    const double time = (output + 1) * steps_per_output * dt;
    const fieldpress::extents at{std::size_t(start[0]), std::size_t(start[1]), std::size_t(start[2])};
    archive.begin_step(time);
    archive.put(id_u, at, u.interior(), fieldpress::nrmse(epsilon));
    archive.put(id_v, at, v.interior(), fieldpress::nrmse(epsilon));
    archive.end_step();

    double sum = 0, largest = 0;
    for (int z = 1; z <= count[0]; ++z)
      for (int y = 1; y <= count[1]; ++y)
        for (int x = 1; x <= count[2]; ++x)
        {
          sum += u.at(z, y, x);
          largest = std::max(largest, v.at(z, y, x));
        }
    print(grid, time, sum, largest);
  }
  archive.close();
  MPI_Comm_free(&grid);
}

void read(const std::string &path)
{
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const fieldpress::reader reader(path, "threads=1");
  const std::size_t first = rank * size / ranks, slabs = (rank + 1) * size / ranks - first;
  std::vector<double> u(slabs * size * size), v(u.size());
  for (std::uint64_t step = 0; step < reader.steps(); ++step)
  {
    const fieldpress::extents start{first, 0, 0}, count{slabs, size, size};
    reader.read(reader.find("u"), step, 1, start, count, fieldpress::view(u.data(), count));
    reader.read(reader.find("v"), step, 1, start, count, fieldpress::view(v.data(), count));
    double sum = 0;
    for (const double value : u)
      sum += value;
    print(MPI_COMM_WORLD, reader.time(step), sum, *std::max_element(v.begin(), v.end()));
  }
}
} // namespace

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  int status = 0;
  try
  {
    if (argc != 3)
      throw std::runtime_error("usage: gray_scott write|read ARCHIVE");
    std::strcmp(argv[1], "read") == 0 ? read(argv[2]) : write(argv[2]);
  }
  catch (const std::exception &problem)
  {
    std::fprintf(stderr, "gray_scott: %s\n", problem.what());
    status = 1;
  }
  MPI_Finalize();
  return status;
}
