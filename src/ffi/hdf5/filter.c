/* fieldpress as a filter plugin of HDF5 (1.8.11 and later, dynamically loaded). A chunk is a field, and what reaches
 * the file is its stream, byte for byte what the C ABI makes of the same values. docs/hosts.md describes the
 * parameters.
 *
 * The plugin is linked with no HDF5 library: it must use the one that loaded it, of which a process may hold several
 * (a Python wheel has its own). The few functions that it needs are looked up in the library that calls set_local. */

#define _GNU_SOURCE
#include <fieldpress.h>

#include <H5PLextern.h>
#include <hdf5.h>

#include <dlfcn.h>
#include <locale.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In HDF5's range for testing, 256 to 511, until an id is registered. */
#define FILTER_ID 413

/* Options of every handle beside those of its dataset, each `;key=value`: a program that has the filter inside sets them
 * before it uses it. */
__attribute__((visibility("hidden"))) const char *fieldpress_filter_options = "";

/* Of the parameter that has the effort: the effort, and the use of the model, 0 where it pays, 1 never, 2 always. */
#define EFFORTS 4
#define MODEL_USES 3
static const char *const model_use[MODEL_USES] = {"", ";fm=off", ";fm=on"};

/* The most values that are given to mark points without data. */
#define MOST_MARKS 8

/* Parameters of a dataset: as the user gives them, then what set_local adds for each chunk, then those values that mark
 * points without data in all of the dataset, from one who has looked at all of it. Those from FILL on are missing in
 * files that were written before they were thought of; reading needs none of them. */
enum {
  KIND,
  VALUE_LOW,
  VALUE_HIGH,
  EFFORT,
  USER_PARAMETERS,
  SENTINELS = USER_PARAMETERS, /* as the user gives it; set_local takes it to MARKS */
  DTYPE = USER_PARAMETERS,
  NDIM,
  DIMS,
  FEWEST_PARAMETERS = DIMS + FIELDPRESS_MAX_DIMS,
  FILL = FEWEST_PARAMETERS,
  FILL_LOW,
  FILL_HIGH,
  MARKS, /* 0: found in each chunk; else one more than the number of those that follow, low and high half of each */
  MAX_PARAMETERS = MARKS + 1 + 2 * MOST_MARKS
};
/* Which points hold the dataset's fill value: none that is known; those by which HDF5 pads chunks beyond the edge;
 * any. */
enum { FILL_UNKNOWN, FILL_PADS, FILL_ANYWHERE };

/* The calls of the HDF5 library that loaded this plugin. */
struct library {
  htri_t (*get_filter_by_id)(hid_t, H5Z_filter_t, unsigned *, size_t *, unsigned *, size_t, char *, unsigned *);
  herr_t (*modify_filter)(hid_t, H5Z_filter_t, unsigned, size_t, const unsigned *);
  int (*get_chunk)(hid_t, int, hsize_t *);
  herr_t (*get_fill)(hid_t, hid_t, void *);
  herr_t (*is_fill_defined)(hid_t, H5D_fill_value_t *);
  H5T_class_t (*get_class)(hid_t);
  size_t (*get_size)(hid_t);
  H5T_order_t (*get_order)(hid_t);
  int (*get_filter_count)(hid_t);
  H5Z_filter_t (*get_filter)(hid_t, unsigned, unsigned *, size_t *, unsigned *, size_t, char *, unsigned *);
  herr_t (*push)(hid_t, const char *, const char *, unsigned, hid_t, hid_t, hid_t, const char *, ...);
  hid_t *error_class, *error_major, *error_minor;
};

static void *find(void *handle, const char *name) { return dlsym(handle != NULL ? handle : RTLD_DEFAULT, name); }

/* Looks up the library that holds an address; 0 where it lacks a call. POSIX has dlsym return functions as void *. */
static int open_library(const void *address, struct library *library)
{
  Dl_info info;
  void *handle = NULL;
  if (dladdr(address, &info) != 0 && info.dli_fname != NULL)
    handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (handle != NULL && dlsym(handle, "H5Pget_filter_by_id2") == NULL) {
    dlclose(handle);
    handle = NULL;
  }
  *(void **)&library->get_filter_by_id = find(handle, "H5Pget_filter_by_id2");
  *(void **)&library->modify_filter = find(handle, "H5Pmodify_filter");
  *(void **)&library->get_chunk = find(handle, "H5Pget_chunk");
  *(void **)&library->get_fill = find(handle, "H5Pget_fill_value");
  *(void **)&library->is_fill_defined = find(handle, "H5Pfill_value_defined");
  *(void **)&library->get_class = find(handle, "H5Tget_class");
  *(void **)&library->get_size = find(handle, "H5Tget_size");
  *(void **)&library->get_order = find(handle, "H5Tget_order");
  *(void **)&library->get_filter_count = find(handle, "H5Pget_nfilters");
  *(void **)&library->get_filter = find(handle, "H5Pget_filter2");
  *(void **)&library->push = find(handle, "H5Epush2");
  library->error_class = find(handle, "H5E_ERR_CLS_g");
  library->error_major = find(handle, "H5E_PLINE_g");
  library->error_minor = find(handle, "H5E_CANTFILTER_g");
  if (handle != NULL)
    dlclose(handle); /* it stays loaded: it is calling us */
  return library->get_filter_by_id && library->modify_filter && library->get_chunk && library->get_fill &&
         library->is_fill_defined && library->get_class &&
         library->get_size && library->get_order && library->get_filter_count && library->get_filter;
}

/* Puts a sentence on HDF5's error stack, where h5dump and h5py look for it. HDF5 2.0
 * keeps what set_local says, and drops what a filter says while it runs. */
static void complain(const struct library *library, const char *function, unsigned line, const char *what)
{
  enum { STACK = 0 /* H5E_DEFAULT */ };
  if (!library->push || !library->error_class || !library->error_major || !library->error_minor)
    return;
  library->push(STACK, "fieldpress/filter.c", function, line, *library->error_class, *library->error_major,
                *library->error_minor, "fieldpress: %s", what);
}
#define COMPLAIN(library, what) complain(library, __func__, __LINE__, what)

static double double_of(unsigned low, unsigned high)
{
  const uint64_t bits = (uint64_t)(uint32_t)high << 32 | (uint32_t)low;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double bound_value(const unsigned *parameters) { return double_of(parameters[VALUE_LOW], parameters[VALUE_HIGH]); }

/* Whether a parameter has an effort and a use of the model. */
static int is_effort(unsigned parameter) { return parameter % EFFORTS <= 2 && parameter / EFFORTS < MODEL_USES; }

/* An effort with the use of the model, and the values of points without data: the fill value, if there is one, and
 * others, if they are known. */
struct setting {
  unsigned effort;
  int has_fill;
  double fill;
  unsigned marks; /* as MARKS says */
  double mark[MOST_MARKS];
};

static int are_same(const struct setting *a, const struct setting *b)
{
  return a->effort == b->effort && a->has_fill == b->has_fill && memcmp(&a->fill, &b->fill, sizeof a->fill) == 0 &&
         a->marks == b->marks && memcmp(a->mark, b->mark, sizeof a->mark) == 0;
}

static fieldpress_handle *create(const struct setting *setting)
{
  const size_t room = 64 + 32 * (1 + MOST_MARKS) + strlen(fieldpress_filter_options);
  char *options = malloc(room);
  fieldpress_handle *handle = NULL;
  /* A number as the option has it, whatever the program's locale writes for a point. */
  const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
  if (options == NULL || plain == (locale_t)0) {
    if (plain != (locale_t)0)
      freelocale(plain);
    free(options);
    return NULL;
  }
  const locale_t before = uselocale(plain);
  int length = snprintf(options, room, "effort=%u%s%s", setting->effort % EFFORTS, model_use[setting->effort / EFFORTS],
                        fieldpress_filter_options);
  if (setting->has_fill)
    length += snprintf(options + length, room - (size_t)length, ";fill_value=%.17g", setting->fill);
  if (setting->marks == 1)
    snprintf(options + length, room - (size_t)length, ";sentinels=off");
  for (unsigned k = 0; k + 1 < setting->marks; k++)
    length += snprintf(options + length, room - (size_t)length, k == 0 ? ";sentinels=%.17g" : ",%.17g",
                       setting->mark[k]);
  uselocale(before);
  freelocale(plain);
  fieldpress_create(options, &handle);
  free(options);
  return handle;
}

/* The handles of the process, which are never destroyed: HDF5 does not say when it is done with a filter. The lock
 * is the number of the process in which a thread holds it: a child that was forked meanwhile must not wait for that
 * thread. */
#define KEPT 32
static struct {
  struct setting setting;
  fieldpress_handle *handle;
} handles[KEPT];
static atomic_int handles_held;

static int lock_handles(void)
{
  const int own = (int)getpid();
  for (int holder = 0; !atomic_compare_exchange_strong(&handles_held, &holder, own); holder = 0) {
    if (holder != own)
      return 0;
    nanosleep(&(struct timespec){0, 50000}, NULL);
  }
  return 1;
}

/* A handle of a setting; `mine` is set where it is the caller's to destroy. */
static fieldpress_handle *handle_of(const struct setting *setting, int *mine)
{
  *mine = 1;
  if (!lock_handles())
    return create(setting);
  fieldpress_handle *handle = NULL;
  for (int k = 0; k < KEPT && handle == NULL; k++) {
    if (handles[k].handle == NULL) {
      handles[k].setting = *setting;
      handles[k].handle = create(setting);
    } else if (!are_same(&handles[k].setting, setting)) {
      continue;
    }
    handle = handles[k].handle;
    *mine = 0;
    break;
  }
  atomic_store(&handles_held, 0);
  return handle != NULL || *mine == 0 ? handle : create(setting);
}

static void give_back(fieldpress_handle *handle, int mine)
{
  if (mine)
    fieldpress_destroy(handle);
}


/* Whether the dataset can have this filter: native-endian floats of 4 or 8 bytes, chunked. HDF5 leaves the filter out
 * where it was asked for as optional, and fails otherwise. */
static htri_t can_apply(hid_t creation, hid_t type, hid_t space)
{
  struct library library;
  (void)creation;
  (void)space;
  if (!open_library(__builtin_return_address(0), &library))
    return -1;
  if (library.get_class(type) != H5T_FLOAT) {
    COMPLAIN(&library, "the dataset's type is not supported; expected a float of 32 or 64 bits");
    return 0;
  }
  const size_t size = library.get_size(type);
  if (size != 4 && size != 8) {
    COMPLAIN(&library, "the dataset's float is not supported; expected one of 32 or 64 bits");
    return 0;
  }
  if (library.get_order(type) != H5T_ORDER_LE) {
    COMPLAIN(&library, "the dataset is big-endian; expected a little-endian type");
    return 0;
  }
  return 1;
}

static int is_supported(const struct library *library, hid_t type)
{
  const size_t size = library->get_size(type);
  return library->get_class(type) == H5T_FLOAT && (size == 4 || size == 8) && library->get_order(type) == H5T_ORDER_LE;
}

/* Notes the dataset's fill value: points that hold it are no data. The value that HDF5 takes where nobody has set
 * one, 0, often is data, and is none only where it pads a chunk. */
static void ask_for_fill(const struct library *library, hid_t creation, hid_t type, unsigned *parameters)
{
  H5D_fill_value_t defined;
  float single = 0;
  double value = 0;
  if (!is_supported(library, type) || library->is_fill_defined(creation, &defined) < 0 ||
      defined == H5D_FILL_VALUE_UNDEFINED)
    return;
  const int is_single = library->get_size(type) == 4;
  if (library->get_fill(creation, type, is_single ? (void *)&single : (void *)&value) < 0)
    return;
  if (is_single)
    value = single;
  const int anywhere = defined == H5D_FILL_VALUE_USER_DEFINED;
  /* A NaN is no data anyway. Whether chunks reach beyond the edge is not known here: HDF5 gives the extent of a chunk. */
  if (value != value)
    return;
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  parameters[FILL] = anywhere ? FILL_ANYWHERE : FILL_PADS;
  parameters[FILL_LOW] = (unsigned)(bits & UINT32_MAX);
  parameters[FILL_HIGH] = (unsigned)(bits >> 32);
}

/* Adds the chunk's type, sizes and fill value to the user's parameters, and refuses what compression would refuse
 * later. HDF5 calls this even where can_apply has said no to an optional filter: without a type in the parameters,
 * the filter declines each chunk, and HDF5 stores it as it is. */
static herr_t set_local(hid_t creation, hid_t type, hid_t space)
{
  struct library library;
  (void)space;
  if (!open_library(__builtin_return_address(0), &library))
    return -1;

  unsigned parameters[MAX_PARAMETERS] = {0}, flags, config;
  size_t count = MAX_PARAMETERS;
  if (library.get_filter_by_id(creation, FILTER_ID, &flags, &count, parameters, 0, NULL, &config) < 0)
    return -1;
  if (count == 1 && parameters[KIND] == FIELDPRESS_BOUND_LOSSLESS)
    count = VALUE_HIGH + 1;
  if (count <= VALUE_HIGH) {
    COMPLAIN(&library, "parameters are missing; expected: bound kind (1 abs, 2 rel, 3 nrmse, 4 psnr, 5 block_l2, "
                       "6 lossless, 8 pw_rel), low and high 32 bits of the bound as a double, and, optionally, effort (0, 1, 2)");
    return -1;
  }
  if (count <= EFFORT)
    parameters[EFFORT] = 1;
  if (count == SENTINELS + 1) {
    if (parameters[SENTINELS] > 1) {
      COMPLAIN(&library, "sentinels is not valid; expected 0 (found) or 1 (all values but the fill value are data)");
      return -1;
    }
    parameters[MARKS] = parameters[SENTINELS];
  }
  if (parameters[MARKS] > 1 + MOST_MARKS) {
    COMPLAIN(&library, "more values are given to mark points without data than eight");
    return -1;
  }
  if (!is_effort(parameters[EFFORT])) {
    COMPLAIN(&library, "effort is not valid; expected 0, 1 or 2, and 4 more without the model, 8 more with it always");
    return -1;
  }
  if (library.get_filter_count(creation) < 1 ||
      library.get_filter(creation, 0, NULL, NULL, NULL, 0, NULL, NULL) != FILTER_ID) {
    COMPLAIN(&library, "another filter comes before this one, which needs the values as they are (shuffle does not help it)");
    return -1;
  }
  const double value = bound_value(parameters);
  const int is_known = parameters[KIND] >= FIELDPRESS_BOUND_ABS && parameters[KIND] <= FIELDPRESS_BOUND_LOSSLESS;
  if (!is_known && parameters[KIND] != FIELDPRESS_BOUND_PW_REL) {
    COMPLAIN(&library, "the bound's kind is not known; expected 1 abs, 2 rel, 3 nrmse, 4 psnr, 5 block_l2, 6 lossless or "
                       "8 pw_rel");
    return -1;
  }
  if (parameters[KIND] != FIELDPRESS_BOUND_LOSSLESS && !(value > 0 && value <= 1.7976931348623157e308)) {
    COMPLAIN(&library, "the bound's value is not valid; expected a finite number greater than 0, as the low and the high "
                       "32 bits of a double");
    return -1;
  }

  hsize_t chunk[H5S_MAX_RANK];
  const int rank = library.get_chunk(creation, H5S_MAX_RANK, chunk);
  if (rank < 1) {
    COMPLAIN(&library, "the dataset has no chunks");
    return -1;
  }
  /* Leading sizes are taken together where there are more than a field can have. */
  const int leading = rank > FIELDPRESS_MAX_DIMS ? rank - FIELDPRESS_MAX_DIMS : 0;
  /* Another dataset's, where the property list comes from one. */
  memset(parameters + DTYPE, 0, (MARKS - DTYPE) * sizeof *parameters);
  if (is_supported(&library, type))
    parameters[DTYPE] = library.get_size(type) == 4 ? FIELDPRESS_F32 : FIELDPRESS_F64;
  parameters[NDIM] = (unsigned)(rank - leading);
  hsize_t first = 1;
  for (int axis = 0; axis < rank; axis++) {
    first *= chunk[axis];
    if (axis < leading)
      continue;
    if (first > UINT32_MAX) {
      COMPLAIN(&library, "the chunk is too large");
      return -1;
    }
    parameters[DIMS + axis - leading] = (unsigned)first;
    first = 1;
  }
  ask_for_fill(&library, creation, type, parameters);
  const size_t used = parameters[MARKS] == 0 ? MARKS : MARKS + 1 + 2 * (parameters[MARKS] - 1);
  return library.modify_filter(creation, FILTER_ID, flags, used, parameters);
}

/* Bytes of a chunk's values, by the parameters that set_local has written; 0 where they are not such. */
static size_t chunk_bytes(size_t count, const unsigned *parameters)
{
  if (count < FEWEST_PARAMETERS || (parameters[DTYPE] != FIELDPRESS_F32 && parameters[DTYPE] != FIELDPRESS_F64) ||
      parameters[NDIM] < 1 || parameters[NDIM] > FIELDPRESS_MAX_DIMS || !is_effort(parameters[EFFORT]))
    return 0;
  size_t bytes = parameters[DTYPE] == FIELDPRESS_F32 ? 4 : 8;
  for (unsigned axis = 0; axis < parameters[NDIM]; axis++)
    if (__builtin_mul_overflow(bytes, (size_t)parameters[DIMS + axis], &bytes))
      return 0;
  return bytes;
}

/* Whether the last plane of a chunk along some axis holds nothing but a value: HDF5 has padded it, or might have. */
static int is_padded(const fieldpress_field *field, double fill)
{
  const size_t size = field->dtype == FIELDPRESS_F32 ? 4 : 8;
  const float single = (float)fill;
  const void *value = size == 4 ? (const void *)&single : (const void *)&fill;
  size_t inner = 1, outer = 1;
  for (unsigned axis = 0; axis < field->ndim; axis++)
    outer *= field->dims[axis];
  for (unsigned axis = field->ndim; axis-- > 0; inner *= field->dims[axis]) {
    const size_t n = field->dims[axis];
    outer /= n;
    int holds = n > 1;
    for (size_t i = 0; holds && i < outer; i++)
      for (size_t j = 0; holds && j < inner; j++)
        holds = memcmp((const char *)field->data + ((i * n + n - 1) * inner + j) * size, value, size) == 0;
    if (holds)
      return 1;
  }
  return 0;
}

/* Notes the values that mark points without data in all of the dataset, where it has them. */
static void take_marks(struct setting *setting, size_t count, const unsigned *parameters)
{
  const unsigned marks = count > MARKS ? parameters[MARKS] : 0;
  if (marks > 1 + MOST_MARKS || (marks > 1 && count < MARKS + 1 + 2 * (size_t)(marks - 1)))
    return;
  setting->marks = marks;
  for (unsigned k = 0; k + 1 < marks; k++)
    setting->mark[k] = double_of(parameters[MARKS + 1 + 2 * k], parameters[MARKS + 2 + 2 * k]);
}

static size_t compress_chunk(const struct library *library, size_t count, const unsigned *parameters, size_t bytes,
                             size_t *room, void **buffer)
{
  const size_t expected = chunk_bytes(count, parameters);
  if (expected == 0) {
    COMPLAIN(library, "the dataset has a type that is not supported, or incomplete filter parameters");
    return 0;
  }
  if (expected != bytes) {
    COMPLAIN(library, "the chunk's bytes are not those of its values");
    return 0;
  }
  fieldpress_field field;
  memset(&field, 0, sizeof field);
  field.data = *buffer;
  field.dtype = (int32_t)parameters[DTYPE];
  field.ndim = parameters[NDIM];
  for (unsigned axis = 0; axis < field.ndim; axis++)
    field.dims[axis] = parameters[DIMS + axis];
  struct setting setting;
  memset(&setting, 0, sizeof setting);
  setting.effort = parameters[EFFORT];
  take_marks(&setting, count, parameters);
  const unsigned kind = count > FILL_HIGH ? parameters[FILL] : FILL_UNKNOWN;
  const double fill = kind == FILL_UNKNOWN ? 0 : double_of(parameters[FILL_LOW], parameters[FILL_HIGH]);
  if (kind == FILL_ANYWHERE || (kind == FILL_PADS && is_padded(&field, fill))) {
    setting.has_fill = 1;
    setting.fill = fill;
  }
  int mine;
  fieldpress_handle *handle = handle_of(&setting, &mine);
  size_t stream_bytes, stream_room = 0;
  void *stream = NULL;
  if (handle == NULL || fieldpress_compress_bound(&field, &stream_room) != FIELDPRESS_OK)
    COMPLAIN(library, fieldpress_last_error());
  else if ((stream = malloc(stream_room)) == NULL)
    COMPLAIN(library, "out of memory");
  stream_bytes = stream_room;
  if (stream != NULL && fieldpress_compress(handle, &field, (int32_t)parameters[KIND], bound_value(parameters), stream,
                                            &stream_bytes, NULL) != FIELDPRESS_OK) {
    COMPLAIN(library, fieldpress_last_error());
    free(stream);
    stream = NULL;
  }
  give_back(handle, mine);
  if (stream == NULL)
    return 0;
  free(*buffer);
  *buffer = stream;
  *room = stream_room;
  return stream_bytes;
}

static size_t decompress_chunk(const struct library *library, size_t count, const unsigned *parameters, size_t bytes,
                               size_t *room, void **buffer)
{
  fieldpress_info info;
  memset(&info, 0, sizeof info);
  info.size = sizeof info;
  if (fieldpress_inspect(*buffer, bytes, &info) != FIELDPRESS_OK) {
    COMPLAIN(library, fieldpress_last_error());
    return 0;
  }
  fieldpress_field field;
  memset(&field, 0, sizeof field);
  field.dtype = info.dtype;
  field.ndim = info.ndim;
  size_t size = info.dtype == FIELDPRESS_F32 ? 4 : 8;
  for (unsigned axis = 0; axis < field.ndim; axis++)
    size *= field.dims[axis] = info.dims[axis]; /* fieldpress_inspect has checked that they fit memory */
  /* HDF5 reads as many bytes as the chunk has, whatever comes back. */
  if (size != chunk_bytes(count, parameters)) {
    COMPLAIN(library, "the chunk holds a stream of another size than the dataset's chunks");
    return 0;
  }
  field.data = malloc(size);
  if (field.data == NULL) {
    COMPLAIN(library, "out of memory");
    return 0;
  }
  int mine;
  const struct setting setting = {1, 0, 0, 0, {0}};
  fieldpress_handle *handle = handle_of(&setting, &mine);
  const int failed =
    handle == NULL || fieldpress_decompress(handle, *buffer, bytes, NULL, &field, NULL) != FIELDPRESS_OK;
  if (failed)
    COMPLAIN(library, fieldpress_last_error());
  give_back(handle, mine);
  if (failed) {
    free(field.data);
    return 0;
  }
  free(*buffer);
  *buffer = field.data;
  *room = size;
  return size;
}

static size_t filter(unsigned flags, size_t count, const unsigned parameters[], size_t bytes, size_t *room, void **buffer)
{
  struct library library;
  open_library(__builtin_return_address(0), &library); /* only for messages here */
  if (flags & H5Z_FLAG_REVERSE)
    return decompress_chunk(&library, count, parameters, bytes, room, buffer);
  return compress_chunk(&library, count, parameters, bytes, room, buffer);
}

static const H5Z_class2_t filter_class = {
  H5Z_CLASS_T_VERS, FILTER_ID, 1, 1, "fieldpress: error-bounded compression of simulation fields", can_apply, set_local,
  filter,
};

H5PL_type_t H5PLget_plugin_type(void) { return H5PL_TYPE_FILTER; }
const void *H5PLget_plugin_info(void) { return &filter_class; }
