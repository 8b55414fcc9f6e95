// fieldpress: error-bounded compression of simulation fields.
//
// This header is generated from src/ffi by cbindgen; change it there.
//
// A field is an array of float or double with 1 to 5 dimensions, in C order. fieldpress_compress makes a stream of it, whose
// decoded values differ from the field by no more than a bound that has been checked before the call returns.
//
// LIFE CYCLE
//
//   fieldpress_handle *handle;
//   if (fieldpress_create("threads=1", &handle) != FIELDPRESS_OK) puts(fieldpress_last_error());
//
//   fieldpress_field field = {0};
//   field.data = values;  field.dtype = FIELDPRESS_F32;  field.ndim = 3;
//   field.dims[0] = 8;  field.dims[1] = 256;  field.dims[2] = 256;
//
//   size_t bytes;
//   fieldpress_compress_bound(&field, &bytes);
//   void *stream = malloc(bytes);
//   fieldpress_compress(handle, &field, FIELDPRESS_BOUND_NRMSE, 1e-3, stream, &bytes, NULL);
//
//   fieldpress_decompress(handle, stream, bytes, NULL, &field, NULL);
//   fieldpress_destroy(handle);
//
// A whole program: tests/c_abi/round_trip.c.
//
// TASKS
//
//   set up        fieldpress_create, fieldpress_destroy
//   compress      fieldpress_compress_bound, fieldpress_compress
//   decompress    fieldpress_inspect, fieldpress_output_dims, fieldpress_decompress
//   time steps    fieldpress_stream_create, fieldpress_stream_bound, fieldpress_stream_push, fieldpress_stream_flush,
//                 fieldpress_stream_destroy
//   ask           fieldpress_last_error, fieldpress_status_name, fieldpress_version
//
// RULES
//
//   - Every call that can fail returns a fieldpress_status; fieldpress_last_error has the sentence, per thread.
//   - No call prints, exits the process, or lets an exception out. The one exception is memory that runs out within a call:
//     that ends the process, as it does in most programs.
//   - A child of fork may use handles made before, without threads; it ends by _exit where ONNX Runtime was used.
//   - Memory belongs to whoever allocated it. The library never keeps a caller's pointer after a call.
//   - All calls may be made from several threads, also with one handle, except that fieldpress_destroy must be the last.
//     A fieldpress_stream belongs to one thread at a time.
//   - Set structs to zero before filling them in. Structs whose first member is size may grow in later versions: set it
//     to the struct's sizeof, and programs built against this header keep working.
//   - The library links without ONNX Runtime, and loads it at run time where the foundation model is used: from the path in
//     the environment variable ORT_DYLIB_PATH or FIELDPRESS_ONNXRUNTIME, or from beside the program. Without it,
//     everything works but the model.

#ifndef FIELDPRESS_H
#define FIELDPRESS_H

#include <stddef.h>
#include <stdint.h>

// The most dimensions that a field can have.
#define FIELDPRESS_MAX_DIMS 5

// Bytes of a model's name in fieldpress_info, with the terminating zero; longer names are cut.
#define FIELDPRESS_NAME_BYTES 64

// Bytes of a model's hash in fieldpress_info: hexadecimal digits and the terminating zero.
#define FIELDPRESS_HASH_BYTES 72

// The most values that are found to mark points without data.
#define FIELDPRESS_MAX_SENTINELS 4

// What a call returns. fieldpress_last_error says more, in a sentence.
enum fieldpress_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  FIELDPRESS_OK = 0,
  // An argument or option that cannot be accepted: a null or misaligned pointer, an unknown code, sizes that do not
  // fit.
  FIELDPRESS_INVALID_ARGUMENT = 1,
  // Bytes that are not a sound stream: damaged, truncated, or not a stream at all.
  FIELDPRESS_CORRUPT = 2,
  // A stream or model package of a version, or with a feature, that this library does not know.
  FIELDPRESS_UNSUPPORTED = 3,
  // A model package that is missing, damaged, or not the one that the stream names.
  FIELDPRESS_MODEL = 4,
  // ONNX Runtime or a device that is missing or failed.
  FIELDPRESS_RUNTIME = 5,
  // The caller's buffer is too small; the size that is needed has been stored.
  FIELDPRESS_BUFFER_TOO_SMALL = 6,
  // The file system or the operating system refused.
  FIELDPRESS_IO = 7,
  // A bug in fieldpress.
  FIELDPRESS_INTERNAL = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fieldpress_status fieldpress_status;
#else
typedef int32_t fieldpress_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The type of a field's values.
enum fieldpress_dtype
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // IEEE 754 binary32: C's float.
  FIELDPRESS_F32 = 1,
  // IEEE 754 binary64: C's double.
  FIELDPRESS_F64 = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fieldpress_dtype fieldpress_dtype;
#else
typedef int32_t fieldpress_dtype;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What an error bound limits. x is the original, x' the decoded field; points that hold NaN, an infinity or the fill
// value come back bit-exact and do not count. The range is max - min over the remaining points, or the option "range".
enum fieldpress_bound_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // |x - x'| at most the value, in the field's units, at every point.
  FIELDPRESS_BOUND_ABS = 1,
  // |x - x'| at most the value times the range, at every point.
  FIELDPRESS_BOUND_REL = 2,
  // Root mean square of x - x' at most the value times the range.
  FIELDPRESS_BOUND_NRMSE = 3,
  // 20 log10(range / root mean square of x - x') at least the value, in dB.
  FIELDPRESS_BOUND_PSNR = 4,
  // The l2 norm of x - x' over every 8x8x8 block at most the value, in the field's units.
  FIELDPRESS_BOUND_BLOCK_L2 = 5,
  // Every bit as it was; the value is not used.
  FIELDPRESS_BOUND_LOSSLESS = 6,
  // For fieldpress_compress alone: a size in place of a bound. The stream has at most the field's bytes over the value,
  // which is 1 or more, under the tightest bound of kind NRMSE (or LOSSLESS) that is found with it; streams and reports
  // have that bound. Up to nine streams are made for it.
  FIELDPRESS_BOUND_RATIO = 7,
  // |x - x'| at most the value times |x| at every point: zeros and signs are exact.
  FIELDPRESS_BOUND_PW_REL = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fieldpress_bound_kind fieldpress_bound_kind;
#else
typedef int32_t fieldpress_bound_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A compressor and decompressor: its options, and the model's sessions once they are needed. Opaque. Several threads
// may use one handle at the same time.
typedef struct fieldpress_handle fieldpress_handle;

// Time steps of one field that are compressed a window at a time. Opaque. One thread may use it at a time.
typedef struct fieldpress_stream fieldpress_stream;

// A field in the caller's memory. Set members that are not used to zero.
typedef struct fieldpress_field {
  // Address of the first element, aligned as its type asks. Compression does not write through it.
  void *data;
  // Type of the values: a fieldpress_dtype.
  int32_t dtype;
  // Number of dimensions, 1 to FIELDPRESS_MAX_DIMS.
  uint32_t ndim;
  // Number of elements along each dimension, slowest first (C order), each at least 1. The last two dimensions are
  // the rows and columns of a frame, the one before them counts frames (time steps or levels), earlier ones are
  // independent.
  size_t dims[FIELDPRESS_MAX_DIMS];
  // Distance between neighbours along each dimension, in elements, not bytes. All zero: contiguous. Strides larger
  // than that leave out cells between, so that the interior of an array with halo cells is compressed in place.
  size_t strides[FIELDPRESS_MAX_DIMS];
} fieldpress_field;

// Bytes of each part of a stream; together the stream.
typedef struct fieldpress_sections {
  // Header, section table and checksums.
  uint64_t header;
  // Temporal bases and parameters of the prediction.
  uint64_t side_info;
  // Masks of NaN, infinities and fill values.
  uint64_t mask;
  // Latents of the foundation model.
  uint64_t latents;
  // Wavelet coefficients of residuals.
  uint64_t coefficients;
  // Corrections by block and by point.
  uint64_t corrections;
  // Values stored without loss.
  uint64_t lossless;
} fieldpress_sections;

// What one call did.
typedef struct fieldpress_report {
  // sizeof(fieldpress_report), set by the caller before the call.
  size_t size;
  // Bytes of the uncompressed field.
  uint64_t input_bytes;
  // Bytes of the stream.
  uint64_t stream_bytes;
  // Bytes of the stream's parts.
  struct fieldpress_sections sections;
  // Share of chunks (windows of tiles) that used the foundation model, 0 to 1.
  double fm_share;
  // Root mean square error over the range, as achieved.
  double nrmse;
  // Largest absolute error, as achieved, in the field's units.
  double max_abs_error;
  // Wall-clock seconds of the call.
  double seconds;
  // Seconds of statistics, masks, gathering and normalising. This and the next five are summed over threads.
  double field_seconds;
  // Seconds of mode decision: trials of prediction modes and window lengths.
  double mode_decision_seconds;
  // Seconds of temporal bases, wavelets and quantisation.
  double transform_seconds;
  // Seconds of the foundation model's graphs.
  double model_seconds;
  // Seconds of entropy coding.
  double entropy_seconds;
  // Seconds of decoding and checking the own output.
  double check_seconds;
  // The mean of the decoded values less that of the original ones, over the points with data, in the field's units;
  // 0 when decompressing.
  double mean_error;
  // How many values were found to mark points without data, although nobody had named them (option "sentinels"):
  // those points are kept bit for bit. 0 when decompressing.
  uint64_t sentinel_count;
  // Those values; 0 beyond sentinel_count.
  double sentinels[FIELDPRESS_MAX_SENTINELS];
} fieldpress_report;

// What to decode. A null pointer in its place asks for the whole field.
typedef struct fieldpress_request {
  // sizeof(fieldpress_request), set by the caller.
  size_t size;
  // Spatial resolution: 1 (or 0) for every point, 2 or 4 for a half or a quarter of the points along rows and
  // columns, and along planes where frames are volumes.
  uint32_t scale;
  // Number of dimensions of the box, the same as the field's; 0: no box, the whole field.
  uint32_t ndim;
  // First index of the box along each dimension, at full resolution.
  size_t start[FIELDPRESS_MAX_DIMS];
  // Number of indices of the box along each dimension, at full resolution, each at least 1.
  size_t count[FIELDPRESS_MAX_DIMS];
} fieldpress_request;

// What a stream's header says.
typedef struct fieldpress_info {
  // sizeof(fieldpress_info), set by the caller before the call.
  size_t size;
  // Version of the stream's format.
  uint32_t format_version;
  // Type of the values: a fieldpress_dtype.
  int32_t dtype;
  // The bound that was asked for: a fieldpress_bound_kind.
  int32_t bound_kind;
  // Number of dimensions.
  uint32_t ndim;
  // Number of elements along each dimension, slowest first; 1 beyond ndim.
  size_t dims[FIELDPRESS_MAX_DIMS];
  // The bound's value; 0 for FIELDPRESS_BOUND_LOSSLESS.
  double bound_value;
  // Root mean square error over the range, as achieved.
  double nrmse;
  // Largest absolute error, as achieved, in the field's units.
  double max_abs_error;
  // max - min of the field, without NaN, infinities and fill values.
  double range;
  // Share of chunks that need the foundation model to be decoded, 0 to 1.
  double fm_share;
  // Bytes of the stream's parts.
  struct fieldpress_sections sections;
  // Name of the model that decoding needs; empty: none.
  char model_name[FIELDPRESS_NAME_BYTES];
  // Hash of that model's package, in hexadecimal digits; empty: none.
  char model_hash[FIELDPRESS_HASH_BYTES];
} fieldpress_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Creates a handle.
//
// options: "key=value" pairs separated by semicolons, for example "device=cpu;threads=1;effort=1"; null or "" for the
// defaults. Keys:
//   model       path of a model package, in place of the one compiled in
//   device      auto (CUDA where it can be had), cpu, cuda or cuda:N
//   threads     1 to 1024, of which no more work than there are processors; default: the process's share of the
//               processors that it may use
//   effort      0 (fast), 1 (default) or 2 (smallest, and very slow both ways where the model pays)
//   fm          auto (default), on or off: use of the foundation model
//   fill_value  a number that marks points without data
//   sentinels   auto (default): values far outside of all others, as 1e20 and -9999, mark such points, too; off; or
//               up to eight numbers that do, for example -9999,1e20
//   axes        the dimensions that are frames, rows, columns, for example 0,1,2, or frames, planes, rows, columns
//               of volumes, for example 0,1,2,3; default: tried on a sample
//   segment     frames that are coded together, and from whose first on a part is decoded; default: 128
//   range       what relative bounds refer to, where it is not the field's own max - min
//   trust_embedded_model
//               1: a model that an archive carries may run although it is not installed here; default 0. A model is a
//               program: for archives of people that you trust
// handle: where the new handle is stored; null is stored on failure.
fieldpress_status fieldpress_create(const char *options,
                                    struct fieldpress_handle **handle);

// Destroys a handle. No call may be using it. Null is allowed and does nothing.
void fieldpress_destroy(struct fieldpress_handle *handle);

// The size of a buffer that holds the stream of any such field under any bound.
//
// field: its dtype, ndim and dims are used; data may be null.
// bytes: where the size is stored, in bytes.
fieldpress_status fieldpress_compress_bound(const struct fieldpress_field *field,
                                            size_t *bytes);

// Compresses a field. When this returns FIELDPRESS_OK, the stream has been decoded and the bound checked on the
// result.
//
// handle: from fieldpress_create.
// field: the field; neither it nor what lies between its elements may change during the call.
// bound_kind: what is bounded, a fieldpress_bound_kind, or FIELDPRESS_BOUND_RATIO.
// bound_value: the bound, finite and greater than 0, in the unit of its kind.
// buffer: where the stream is stored.
// bytes: on entry the buffer's size, on return the stream's, in bytes. With FIELDPRESS_BUFFER_TOO_SMALL the size that
//   is needed; fieldpress_compress_bound gives one that always suffices.
// report: what was done, or null. Its member size must be set.
fieldpress_status fieldpress_compress(const struct fieldpress_handle *handle,
                                      const struct fieldpress_field *field,
                                      int32_t bound_kind,
                                      double bound_value,
                                      void *buffer,
                                      size_t *bytes,
                                      struct fieldpress_report *report);

// Decompresses a stream, or a part of it.
//
// handle: from fieldpress_create; its options need not be those of the compression.
// stream, stream_bytes: the stream. Bytes from anywhere are safe: damaged ones are found.
// request: the scale and the box to decode; null for the whole field. A box decodes only the chunks that it touches.
// output: where the values go: dtype as the stream's, ndim and dims as fieldpress_output_dims says, any strides. It
//   must not overlap the stream. Its values are unspecified after an error; memory between its elements is never
//   changed.
// report: what was done, or null. Its member size must be set.
fieldpress_status fieldpress_decompress(const struct fieldpress_handle *handle,
                                        const void *stream,
                                        size_t stream_bytes,
                                        const struct fieldpress_request *request,
                                        const struct fieldpress_field *output,
                                        struct fieldpress_report *report);

// The dimensions of what fieldpress_decompress will store for a stream and a request.
//
// stream, stream_bytes: the stream.
// request: as for fieldpress_decompress.
// ndim: where the number of dimensions is stored.
// dims: where FIELDPRESS_MAX_DIMS sizes are stored, slowest first, 1 beyond ndim. At a scale f, rows and columns start
//   .. start+count of the field become the points floor(start/f) .. ceil((start+count)/f).
fieldpress_status fieldpress_output_dims(const void *stream,
                                         size_t stream_bytes,
                                         const struct fieldpress_request *request,
                                         uint32_t *ndim,
                                         size_t *dims);

// Reads a stream's header; decodes nothing.
//
// stream, stream_bytes: the stream.
// info: where the header's content is stored. Its member size must be set.
fieldpress_status fieldpress_inspect(const void *stream,
                                     size_t stream_bytes,
                                     struct fieldpress_info *info);

// What went wrong in the calling thread's last call that failed, as a sentence in UTF-8; "" if none has. Valid until
// that thread's next call that fails, or its end. Not to be freed.
const char *fieldpress_last_error(void);

// A status as text: "ok", "invalid argument", ...; "unknown status" for other numbers. Not to be freed.
//
// status: a fieldpress_status.
const char *fieldpress_status_name(int32_t status);

// The library's version, "major.minor.patch". Not to be freed.
const char *fieldpress_version(void);

// Creates a stream of time steps: fieldpress_stream_push takes one step per call and gives bytes whenever a window of
// them is full. Each window becomes a stream of its own, of dims {steps, step's dims}, with time slowest.
//
// handle: from fieldpress_create; it may be destroyed before the stream is.
// step: one time step: its dtype, ndim (at most 4) and dims are used; data may be null.
// window: time steps of a window; 0: 8. As much memory is held as a window has, uncompressed.
// bound_kind: what is bounded over each window, a fieldpress_bound_kind.
// bound_value: the bound, finite and greater than 0, in the unit of its kind.
// stream: where the new stream is stored; null is stored on failure.
fieldpress_status fieldpress_stream_create(const struct fieldpress_handle *handle,
                                           const struct fieldpress_field *step,
                                           size_t window,
                                           int32_t bound_kind,
                                           double bound_value,
                                           struct fieldpress_stream **stream);

// Destroys a stream of time steps; steps that wait for their window are lost. No call may be using it. Null is allowed
// and does nothing.
void fieldpress_stream_destroy(struct fieldpress_stream *stream);

// The size of a buffer that holds any window of a stream of time steps.
//
// stream: from fieldpress_stream_create.
// bytes: where the size is stored, in bytes.
fieldpress_status fieldpress_stream_bound(const struct fieldpress_stream *stream,
                                          size_t *bytes);

// Takes one time step. Its values are copied, so that the simulation may go on in the same array.
//
// stream: from fieldpress_stream_create.
// step: the time step, of the stream's dtype, ndim and dims, with any strides.
// buffer: where the window's bytes are stored when this step fills it.
// bytes: on entry the buffer's size, which must be at least what fieldpress_stream_bound says; on return the bytes
//   stored: 0 where the window is not full yet.
// report: what was done, or null. Its member size must be set. All zero where the window is not full yet.
//
// After an error that names an argument, the step has not been taken; after any other, the window is kept:
// fieldpress_stream_flush tries again.
fieldpress_status fieldpress_stream_push(struct fieldpress_stream *stream,
                                         const struct fieldpress_field *step,
                                         void *buffer,
                                         size_t *bytes,
                                         struct fieldpress_report *report);

// Compresses the time steps that wait for their window to fill, for example at a checkpoint or at the end.
//
// stream: from fieldpress_stream_create.
// buffer, bytes, report: as for fieldpress_stream_push; 0 bytes where no step waits.
fieldpress_status fieldpress_stream_flush(struct fieldpress_stream *stream,
                                          void *buffer,
                                          size_t *bytes,
                                          struct fieldpress_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FIELDPRESS_H */
