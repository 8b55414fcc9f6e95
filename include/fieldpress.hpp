// fieldpress for C++17: owners, spans and exceptions over the C ABI of fieldpress.h, which says what the calls do.
// Nothing to link beyond the C library.
//
//   fieldpress::codec codec("threads=1");
//   std::vector<std::byte> stream = codec.compress(fieldpress::view(u.data(), {8, 256, 256}), fieldpress::nrmse(1e-3));
//   codec.decompress(stream, fieldpress::view(decoded.data(), {8, 256, 256}));
//
// A whole program: examples/cpp/round_trip.cpp.
//
//   - Every call that is not noexcept may throw fieldpress::error, which carries the C status and its sentence, or
//     std::bad_alloc.
//   - A codec may be used from several threads at once; a step_stream by one at a time.
//   - Views point into the caller's memory and own nothing.
#ifndef FIELDPRESS_HPP
#define FIELDPRESS_HPP

#include <fieldpress.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fieldpress
{

// A call that failed: its status, for a program, and what(), for a person.
class error : public std::runtime_error
{
public:
  error(fieldpress_status status, const std::string &what) : std::runtime_error(what), status_(status) {}

  fieldpress_status status() const noexcept { return status_; }

private:
  fieldpress_status status_;
};

namespace detail
{
inline void check(fieldpress_status status)
{
  if (status != FIELDPRESS_OK)
    throw error(status, fieldpress_last_error());
}
} // namespace detail

// Contiguous values of someone else's: from a pointer and a size, or from anything with data() and size().
template <class T>
class span
{
public:
  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class Container,
            class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container &>().data()), T *>>>
  constexpr span(Container &&container) noexcept : data_(container.data()), size_(container.size())
  {
  }

  constexpr T *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T *begin() const noexcept { return data_; }
  constexpr T *end() const noexcept { return data_ + size_; }
  constexpr T &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

// Up to five sizes or indices, slowest axis first.
class extents
{
public:
  constexpr extents() noexcept = default;
  extents(std::initializer_list<std::size_t> sizes) : extents(span<const std::size_t>(sizes.begin(), sizes.size())) {}
  explicit extents(span<const std::size_t> sizes)
  {
    if (sizes.size() > FIELDPRESS_MAX_DIMS)
      throw error(FIELDPRESS_INVALID_ARGUMENT, std::to_string(sizes.size()) + " dimensions given; expected 1 to " +
                                                 std::to_string(FIELDPRESS_MAX_DIMS));
    for (const std::size_t size : sizes)
      sizes_[ndim_++] = size;
  }

  std::size_t ndim() const noexcept { return ndim_; }
  std::size_t operator[](std::size_t axis) const noexcept { return sizes_[axis]; }
  const std::size_t *begin() const noexcept { return sizes_.data(); }
  const std::size_t *end() const noexcept { return sizes_.data() + ndim_; }
  // The number of elements of an array of these sizes.
  std::size_t count() const noexcept
  {
    std::size_t count = 1;
    for (const std::size_t size : *this)
      count *= size;
    return count;
  }

  friend bool operator==(const extents &a, const extents &b) noexcept
  {
    return a.ndim_ == b.ndim_ && a.sizes_ == b.sizes_;
  }
  friend bool operator!=(const extents &a, const extents &b) noexcept { return !(a == b); }

private:
  std::array<std::size_t, FIELDPRESS_MAX_DIMS> sizes_{};
  std::size_t ndim_ = 0;
};

// A field in the caller's memory: float or double (const or not), with sizes and, where it lies inside a larger array,
// strides in elements.
template <class T>
class field_view
{
  static_assert(std::is_same_v<std::remove_const_t<T>, float> || std::is_same_v<std::remove_const_t<T>, double>,
                "fields hold float or double");

public:
  field_view(T *data, extents dims) noexcept : data_(data), dims_(dims) {}
  field_view(T *data, extents dims, extents strides) : data_(data), dims_(dims), strides_(strides)
  {
    if (strides.ndim() != dims.ndim())
      throw error(FIELDPRESS_INVALID_ARGUMENT, std::to_string(strides.ndim()) + " strides given for " +
                                                 std::to_string(dims.ndim()) + " dimensions");
  }
  // From one that may be written to.
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  field_view(const field_view<U> &other) noexcept : data_(other.data()), dims_(other.dims()), strides_(other.strides())
  {
  }

  T *data() const noexcept { return data_; }
  const extents &dims() const noexcept { return dims_; }
  const extents &strides() const noexcept { return strides_; }

  // The same as the C ABI takes it.
  fieldpress_field c_field() const noexcept
  {
    fieldpress_field field{};
    field.data = const_cast<std::remove_const_t<T> *>(data_);
    field.dtype = std::is_same_v<std::remove_const_t<T>, float> ? FIELDPRESS_F32 : FIELDPRESS_F64;
    field.ndim = static_cast<std::uint32_t>(dims_.ndim());
    for (std::size_t axis = 0; axis < dims_.ndim(); ++axis)
    {
      field.dims[axis] = dims_[axis];
      field.strides[axis] = strides_.ndim() > 0 ? strides_[axis] : 0;
    }
    return field;
  }

private:
  T *data_;
  extents dims_;
  extents strides_;
};

template <class T>
field_view<T> view(T *data, extents dims) noexcept
{
  return {data, dims};
}
template <class T>
field_view<T> view(T *data, extents dims, extents strides)
{
  return {data, dims, strides};
}

// What is promised, in the unit of its kind; fieldpress.h says what each kind limits.
struct bound
{
  fieldpress_bound_kind kind;
  double value;
};
constexpr bound abs(double value) noexcept { return {FIELDPRESS_BOUND_ABS, value}; }
constexpr bound rel(double value) noexcept { return {FIELDPRESS_BOUND_REL, value}; }
constexpr bound nrmse(double value) noexcept { return {FIELDPRESS_BOUND_NRMSE, value}; }
constexpr bound psnr(double decibels) noexcept { return {FIELDPRESS_BOUND_PSNR, decibels}; }
constexpr bound block_l2(double value) noexcept { return {FIELDPRESS_BOUND_BLOCK_L2, value}; }
constexpr bound pw_rel(double value) noexcept { return {FIELDPRESS_BOUND_PW_REL, value}; }
constexpr bound lossless() noexcept { return {FIELDPRESS_BOUND_LOSSLESS, 0.0}; }
// A size in place of a bound, for codec::compress: at most the field's bytes over the value.
constexpr bound ratio(double value) noexcept { return {FIELDPRESS_BOUND_RATIO, value}; }

// What to decode: a box (where it has dimensions) and a scale of 1, 2 or 4.
struct request
{
  extents start;
  extents count;
  unsigned scale = 1;

  fieldpress_request c_request() const
  {
    if (start.ndim() != count.ndim())
      throw error(FIELDPRESS_INVALID_ARGUMENT, "a box's start and count differ in their number of dimensions");
    fieldpress_request request{};
    request.size = sizeof request;
    request.scale = scale;
    request.ndim = static_cast<std::uint32_t>(count.ndim());
    for (std::size_t axis = 0; axis < count.ndim(); ++axis)
    {
      request.start[axis] = start[axis];
      request.count[axis] = count[axis];
    }
    return request;
  }
};

using report = fieldpress_report;
using info = fieldpress_info;

inline std::string_view version() noexcept { return fieldpress_version(); }

// The most bytes that a field's stream can have.
template <class T>
std::size_t compress_bound(const field_view<T> &field)
{
  const fieldpress_field c_field = field.c_field();
  std::size_t bytes = 0;
  detail::check(fieldpress_compress_bound(&c_field, &bytes));
  return bytes;
}

// What a stream's header says.
inline info inspect(span<const std::byte> stream)
{
  info result{};
  result.size = sizeof result;
  detail::check(fieldpress_inspect(stream.data(), stream.size(), &result));
  return result;
}

// The sizes of what decoding a stream gives.
inline extents output_dims(span<const std::byte> stream, const request &request = {})
{
  const fieldpress_request c_request = request.c_request();
  std::uint32_t ndim = 0;
  std::array<std::size_t, FIELDPRESS_MAX_DIMS> dims{};
  detail::check(fieldpress_output_dims(stream.data(), stream.size(), &c_request, &ndim, dims.data()));
  return extents(span<const std::size_t>(dims.data(), ndim));
}

// A compressor and decompressor. Moves, does not copy; what is moved from may only be destroyed or assigned to.
class codec
{
public:
  // options: as fieldpress_create takes them, "key=value" separated by semicolons.
  explicit codec(const std::string &options = {})
  {
    fieldpress_handle *handle = nullptr;
    detail::check(fieldpress_create(options.c_str(), &handle));
    handle_.reset(handle);
  }

  // Compresses into the caller's buffer; returns the stream's part of it.
  template <class T>
  span<std::byte> compress(const field_view<T> &field, bound bound, span<std::byte> buffer,
                           report *report = nullptr) const
  {
    const fieldpress_field c_field = field.c_field();
    std::size_t bytes = buffer.size();
    if (report != nullptr)
      report->size = sizeof *report;
    detail::check(
      fieldpress_compress(handle_.get(), &c_field, bound.kind, bound.value, buffer.data(), &bytes, report));
    return {buffer.data(), bytes};
  }

  // Compresses into a vector of the stream's size.
  template <class T>
  std::vector<std::byte> compress(const field_view<T> &field, bound bound, report *report = nullptr) const
  {
    // The bound's memory is not touched but for the stream's bytes, which are copied to a vector of their size.
    const std::size_t room = compress_bound(field);
    const std::unique_ptr<std::byte[]> buffer(new std::byte[room]);
    const span<std::byte> stream = compress(field, bound, span<std::byte>(buffer.get(), room), report);
    return {stream.begin(), stream.end()};
  }

  // Decodes into memory of the sizes that output_dims gives.
  template <class T>
  void decompress(span<const std::byte> stream, const field_view<T> &output, const request &request = {},
                  report *report = nullptr) const
  {
    static_assert(!std::is_const_v<T>, "the output is written to");
    const fieldpress_field c_field = output.c_field();
    const fieldpress_request c_request = request.c_request();
    if (report != nullptr)
      report->size = sizeof *report;
    detail::check(
      fieldpress_decompress(handle_.get(), stream.data(), stream.size(), &c_request, &c_field, report));
  }

  // Decodes into a new vector, in C order; T must be the stream's type.
  template <class T>
  std::vector<T> decompress(span<const std::byte> stream, const request &request = {}) const
  {
    const extents dims = output_dims(stream, request);
    std::vector<T> values(dims.count());
    decompress(stream, view(values.data(), dims), request);
    return values;
  }

  const fieldpress_handle *get() const noexcept { return handle_.get(); }

private:
  struct destroy
  {
    void operator()(fieldpress_handle *handle) const noexcept { fieldpress_destroy(handle); }
  };
  std::unique_ptr<fieldpress_handle, destroy> handle_;
};

// Time steps of one field, compressed a window at a time.
class step_stream
{
public:
  // step: the sizes of one step (at most four); window: steps of a window.
  template <class T>
  static step_stream of(const codec &codec, extents step, std::size_t window, bound bound)
  {
    return step_stream(codec, field_view<T>(nullptr, step).c_field(), window, bound);
  }

  // Takes one step. The window's stream where it is full now, valid until the next call; otherwise nothing.
  template <class T>
  span<const std::byte> push(const field_view<T> &step, report *report = nullptr)
  {
    const fieldpress_field c_field = step.c_field();
    return filled([&](std::size_t &bytes) {
      return fieldpress_stream_push(stream_.get(), &c_field, buffer_.get(), &bytes, sized(report));
    });
  }

  // The stream of the steps that wait, valid until the next call; nothing where none do.
  span<const std::byte> flush(report *report = nullptr)
  {
    return filled([&](std::size_t &bytes) {
      return fieldpress_stream_flush(stream_.get(), buffer_.get(), &bytes, sized(report));
    });
  }

private:
  step_stream(const codec &codec, const fieldpress_field &step, std::size_t window, bound bound)
  {
    fieldpress_stream *stream = nullptr;
    detail::check(fieldpress_stream_create(codec.get(), &step, window, bound.kind, bound.value, &stream));
    stream_.reset(stream);
    detail::check(fieldpress_stream_bound(stream, &room_));
    buffer_.reset(new std::byte[room_]);
  }

  static report *sized(report *report) noexcept
  {
    if (report != nullptr)
      report->size = sizeof *report;
    return report;
  }

  template <class Call>
  span<const std::byte> filled(Call call)
  {
    std::size_t bytes = room_;
    detail::check(call(bytes));
    return {buffer_.get(), bytes};
  }

  struct destroy
  {
    void operator()(fieldpress_stream *stream) const noexcept { fieldpress_stream_destroy(stream); }
  };
  std::unique_ptr<fieldpress_stream, destroy> stream_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t room_ = 0;
};

} // namespace fieldpress

#endif // FIELDPRESS_HPP
