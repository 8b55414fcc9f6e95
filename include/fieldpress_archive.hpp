// fieldpress archives for C++17: owners, exceptions and views over fieldpress_archive.h, which says what the calls do.
//
//   fieldpress::archive archive("run.fpa", "mode=append");        // one process; fieldpress_mpi.hpp opens over MPI
//   auto u = archive.define<double>("u", {nz, ny, nx});
//   archive.begin_step(time);
//   archive.put(u, {0, 0, 0}, fieldpress::view(values, {nz, ny, nx}), fieldpress::nrmse(1e-4));
//   archive.end_step();
//   archive.close();
//
//   fieldpress::reader reader("run.fpa");
//   std::vector<double> values = reader.read<double>(reader.find("u"), step);
//
// Every call that is not noexcept may throw fieldpress::error. Calls that are collective (opening, end_step, flush,
// close) throw on all ranks alike.
#ifndef FIELDPRESS_ARCHIVE_HPP
#define FIELDPRESS_ARCHIVE_HPP

#include <fieldpress.hpp>
#include <fieldpress_archive.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fieldpress
{

using step_report = fieldpress_step_report;
using variable_info = fieldpress_variable;

// An archive that is written. Moves, does not copy. Close it: a destructor must not wait for other ranks, so one that
// finds the archive open leaves it as a crash would, with all committed steps.
class archive
{
public:
  // One process alone.
  explicit archive(const std::string &path, const std::string &options = {})
  {
    detail::check(fieldpress_archive_open_serial(path.c_str(), options.c_str(), &handle_));
  }
  // Takes over a handle from the C ABI.
  explicit archive(fieldpress_archive *handle) noexcept : handle_(handle) {}
  archive(archive &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  archive &operator=(archive &&other) noexcept
  {
    std::swap(handle_, other.handle_);
    return *this;
  }
  archive(const archive &) = delete;
  archive &operator=(const archive &) = delete;
  ~archive() = default;

  // Defines a variable of float or double; the same on all ranks.
  template <class T>
  std::uint32_t define(const std::string &name, extents dims)
  {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "variables hold float or double");
    const int dtype = std::is_same_v<T, float> ? FIELDPRESS_F32 : FIELDPRESS_F64;
    std::uint32_t variable = 0;
    detail::check(fieldpress_archive_define(handle_, name.c_str(), dtype, static_cast<std::uint32_t>(dims.ndim()),
                                            dims.begin(), &variable));
    return variable;
  }

  // Sets an attribute of a variable, or of the archive; the same on all ranks.
  void set(const std::string &name, const std::string &value, std::uint32_t variable = FIELDPRESS_ARCHIVE_ITSELF)
  {
    detail::check(fieldpress_archive_set_text(handle_, variable, name.c_str(), value.c_str()));
  }
  void set(const std::string &name, span<const double> values, std::uint32_t variable = FIELDPRESS_ARCHIVE_ITSELF)
  {
    detail::check(fieldpress_archive_set_reals(handle_, variable, name.c_str(), values.size(), values.data()));
  }

  // Names a variable's axes, slowest first, for readers: variables share the dimensions whose names and sizes agree. The
  // same on all ranks, as the next two.
  void set_dimensions(std::uint32_t variable, const std::vector<std::string> &names)
  {
    set("_dimensions", joined(names), variable);
  }
  // Sets a coordinate: a value for each index of the dimension of its name, or of these dimensions, slowest first.
  void set_coordinate(const std::string &name, span<const double> values, const std::string &units = {},
                      const std::vector<std::string> &dimensions = {})
  {
    set("_coordinate." + name, values);
    if (!dimensions.empty())
      set("_coordinate." + name + "._dimensions", joined(dimensions));
    if (!units.empty())
      set("_coordinate." + name + ".units", units);
  }
  // Says what the times of steps are, as CF has it: "days since 2000-01-01", and a calendar such as "noleap".
  void set_time_units(const std::string &units, const std::string &calendar = {})
  {
    set("time.units", units);
    if (!calendar.empty())
      set("time.calendar", calendar);
  }

  void begin_step(double time) { detail::check(fieldpress_archive_begin_step(handle_, time)); }

  // Gives a box of this rank; copies it.
  template <class T>
  void put(std::uint32_t variable, extents start, const field_view<T> &field, bound bound)
  {
    const fieldpress_field c_field = field.c_field();
    if (start.ndim() != field.dims().ndim())
    {
      // The library must know, so that end_step drops the step on all ranks: without a start it refuses the box.
      fieldpress_archive_put(handle_, variable, nullptr, &c_field, bound.kind, bound.value);
      throw error(FIELDPRESS_INVALID_ARGUMENT, "a box's start and its field differ in their number of dimensions");
    }
    detail::check(fieldpress_archive_put(handle_, variable, start.begin(), &c_field, bound.kind, bound.value));
  }

  // Ends the step; collective. Committed when this returns, unless a window of steps is filling.
  step_report end_step() { return reported(fieldpress_archive_end_step); }

  // Commits a window that is not full; collective.
  step_report flush() { return reported(fieldpress_archive_flush); }

  std::uint64_t committed_steps()
  {
    std::uint64_t steps = 0;
    detail::check(fieldpress_archive_committed_steps(handle_, &steps));
    return steps;
  }

  // Commits the rest and closes; collective.
  void close() { detail::check(fieldpress_archive_close(std::exchange(handle_, nullptr))); }

private:
  static std::string joined(const std::vector<std::string> &names)
  {
    std::string list;
    for (const std::string &name : names)
      list += (list.empty() ? "" : ",") + name;
    return list;
  }
  template <class Call>
  step_report reported(Call call)
  {
    step_report report{};
    report.size = sizeof report;
    detail::check(call(handle_, &report));
    return report;
  }

  fieldpress_archive *handle_ = nullptr;
};

// An archive opened for reading, by any number of processes; needs no MPI.
class reader
{
public:
  explicit reader(const std::string &path, const std::string &options = {})
  {
    fieldpress_reader *handle = nullptr;
    detail::check(fieldpress_reader_open(path.c_str(), options.c_str(), &handle));
    handle_.reset(handle);
  }
  // Takes over a handle from the C ABI.
  explicit reader(fieldpress_reader *handle) noexcept : handle_(handle) {}

  // For calls of the C ABI; it stays the reader's.
  const fieldpress_reader *handle() const noexcept { return handle_.get(); }

  std::uint32_t variables() const { return counts().first; }
  std::uint64_t steps() const { return counts().second; }

  std::uint32_t find(const std::string &name) const
  {
    std::uint32_t variable = 0;
    detail::check(fieldpress_reader_find(handle_.get(), name.c_str(), &variable));
    return variable;
  }

  variable_info variable(std::uint32_t number) const
  {
    variable_info info{};
    info.size = sizeof info;
    detail::check(fieldpress_reader_variable(handle_.get(), number, &info));
    return info;
  }

  double time(std::uint64_t step) const
  {
    double time = 0;
    detail::check(fieldpress_reader_time(handle_.get(), step, &time));
    return time;
  }

  std::string text(const std::string &name, std::uint32_t variable = FIELDPRESS_ARCHIVE_ITSELF) const
  {
    std::size_t bytes = 0;
    const fieldpress_status status = fieldpress_reader_get_text(handle_.get(), variable, name.c_str(), nullptr, &bytes);
    if (status != FIELDPRESS_BUFFER_TOO_SMALL)
      detail::check(status);
    std::string text(bytes, '\0');
    detail::check(fieldpress_reader_get_text(handle_.get(), variable, name.c_str(), text.data(), &bytes));
    text.resize(bytes > 0 ? bytes - 1 : 0);
    return text;
  }

  std::vector<double> reals(const std::string &name, std::uint32_t variable = FIELDPRESS_ARCHIVE_ITSELF) const
  {
    std::size_t count = 0;
    const fieldpress_status status = fieldpress_reader_get_reals(handle_.get(), variable, name.c_str(), nullptr, &count);
    if (status != FIELDPRESS_BUFFER_TOO_SMALL)
      detail::check(status);
    std::vector<double> values(count);
    detail::check(fieldpress_reader_get_reals(handle_.get(), variable, name.c_str(), values.data(), &count));
    return values;
  }

  // Reads a box (where it has dimensions; else the domain) at some steps into the caller's memory.
  template <class T>
  void read(std::uint32_t variable, std::uint64_t first_step, std::uint64_t steps, extents start, extents count,
            const field_view<T> &output) const
  {
    static_assert(!std::is_const_v<T>, "the output is written to");
    if (start.ndim() != count.ndim() || (count.ndim() != 0 && count.ndim() != this->variable(variable).ndim))
      throw error(FIELDPRESS_INVALID_ARGUMENT, "a box's start and count need as many dimensions as the variable");
    const fieldpress_field c_field = output.c_field();
    const bool whole = count.ndim() == 0;
    detail::check(fieldpress_reader_read(handle_.get(), variable, first_step, steps, whole ? nullptr : start.begin(),
                                         whole ? nullptr : count.begin(), nullptr, &c_field));
  }

  // The whole domain at a step, in C order; T must be the variable's type.
  template <class T>
  std::vector<T> read(std::uint32_t number, std::uint64_t step) const
  {
    const variable_info info = variable(number);
    const extents dims(span<const std::size_t>(info.dims, info.ndim));
    std::vector<T> values(dims.count());
    read(number, step, 1, {}, {}, view(values.data(), dims));
    return values;
  }

private:
  std::pair<std::uint32_t, std::uint64_t> counts() const
  {
    std::pair<std::uint32_t, std::uint64_t> counts;
    detail::check(fieldpress_reader_counts(handle_.get(), &counts.first, &counts.second));
    return counts;
  }

  struct destroy
  {
    void operator()(fieldpress_reader *handle) const noexcept { fieldpress_reader_close(handle); }
  };
  std::unique_ptr<fieldpress_reader, destroy> handle_;
};

} // namespace fieldpress

#endif // FIELDPRESS_ARCHIVE_HPP
