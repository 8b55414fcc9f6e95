!> fieldpress for Fortran 2008, over the C ABI; include/fieldpress.h says what the calls do.
!>
!>   use fieldpress
!>   type(fieldpress_codec) :: codec
!>   integer(int8), allocatable :: stream(:)
!>   call codec%create('threads=1')
!>   call codec%compress(u, fieldpress_nrmse(1e-3_real64), stream)
!>   call codec%decompress(stream, decoded)
!>
!> A whole program: examples/fortran/round_trip.f90.
!>
!> Fields are arrays of real32 or real64 with one to four dimensions, contiguous or sections of larger arrays, and are read
!> where they lie. Fortran's first index varies fastest, so a field u(nx, ny, nt) has rows of nx points, ny of them to a
!> frame, and nt frames: it is the C field u[nt][ny][nx]. Sections that run backwards, u(n:1:-1), are an error.
!>
!> Every call takes stat= and errmsg=, as Fortran's own statements do: where stat is absent, an error stops the program
!> with its message (error stop 1); where it is there, it is fieldpress_ok or one of the fieldpress_... codes below.
module fieldpress
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, int8, real32, real64
  implicit none
  private

  public :: fieldpress_codec, fieldpress_steps, fieldpress_bound, fieldpress_report, fieldpress_info
  public :: fieldpress_abs, fieldpress_rel, fieldpress_nrmse, fieldpress_psnr, fieldpress_block_l2, fieldpress_lossless, &
    fieldpress_ratio, fieldpress_pw_rel
  public :: fieldpress_inspect, fieldpress_version, fieldpress_status_name
  ! What module fieldpress_mpi is made with; programs need none of it.
  public :: fieldpress_c_field, fieldpress_describe, fieldpress_finish

  !> What stat= may be.
  integer, parameter, public :: fieldpress_ok = 0, fieldpress_invalid_argument = 1, fieldpress_corrupt = 2, &
    fieldpress_unsupported = 3, fieldpress_model = 4, fieldpress_runtime = 5, fieldpress_buffer_too_small = 6, &
    fieldpress_io = 7, fieldpress_internal = 8
  integer, parameter, public :: fieldpress_max_dims = 5
  integer, parameter, public :: fieldpress_max_sentinels = 4
  !> Types of values, in fieldpress_info%dtype.
  integer, parameter, public :: fieldpress_f32 = 1, fieldpress_f64 = 2

  !> What is promised: make one with fieldpress_abs(value) and its kin.
  type :: fieldpress_bound
    integer(c_int32_t) :: kind
    real(c_double) :: value
  end type

  type, bind(c) :: fieldpress_c_field
    type(c_ptr) :: data
    integer(c_int32_t) :: dtype
    integer(c_int32_t) :: ndim
    integer(c_size_t) :: dims(fieldpress_max_dims)
    integer(c_size_t) :: strides(fieldpress_max_dims)
  end type

  !> Bytes of each part of a stream.
  type, bind(c), public :: fieldpress_sections
    integer(c_int64_t) :: header, side_info, mask, latents, coefficients, corrections, lossless
  end type

  !> What one call did; fieldpress.h says what each member is.
  type, bind(c) :: fieldpress_report
    integer(c_size_t) :: size
    integer(c_int64_t) :: input_bytes, stream_bytes
    type(fieldpress_sections) :: sections
    real(c_double) :: fm_share, nrmse, max_abs_error, seconds
    real(c_double) :: field_seconds, mode_decision_seconds, transform_seconds, model_seconds
    real(c_double) :: entropy_seconds, check_seconds, mean_error
    integer(c_int64_t) :: sentinel_count
    real(c_double) :: sentinels(fieldpress_max_sentinels)
  end type

  !> What a stream's header says. dims has C's order, slowest first.
  type, bind(c) :: fieldpress_info
    integer(c_size_t) :: size
    integer(c_int32_t) :: format_version, dtype, bound_kind, ndim
    integer(c_size_t) :: dims(fieldpress_max_dims)
    real(c_double) :: bound_value, nrmse, max_abs_error, range, fm_share
    type(fieldpress_sections) :: sections
    character(kind=c_char) :: model_name(64), model_hash(72)
  end type

  !> A compressor and decompressor. Finalised where it goes out of scope. It cannot be assigned: pass it on as an argument.
  type :: fieldpress_codec
    private
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure :: create => codec_create
    procedure :: destroy => codec_destroy
    procedure, private :: compress_r32_1, compress_r32_2, compress_r32_3, compress_r32_4
    procedure, private :: compress_r64_1, compress_r64_2, compress_r64_3, compress_r64_4
    !> call codec%compress(field, bound, stream [, report] [, stat] [, errmsg]); stream is allocated to its bytes.
    generic :: compress => compress_r32_1, compress_r32_2, compress_r32_3, compress_r32_4, &
      compress_r64_1, compress_r64_2, compress_r64_3, compress_r64_4
    procedure, private :: decompress_r32_1, decompress_r32_2, decompress_r32_3, decompress_r32_4
    procedure, private :: decompress_r64_1, decompress_r64_2, decompress_r64_3, decompress_r64_4
    !> call codec%decompress(stream, field [, report] [, stat] [, errmsg]); field has the stream's shape and type.
    generic :: decompress => decompress_r32_1, decompress_r32_2, decompress_r32_3, decompress_r32_4, &
      decompress_r64_1, decompress_r64_2, decompress_r64_3, decompress_r64_4
    procedure, private :: codec_assign
    generic :: assignment(=) => codec_assign
    final :: codec_finalise
  end type

  !> Time steps of one field, compressed a window at a time. Finalised where it goes out of scope.
  type :: fieldpress_steps
    private
    type(c_ptr) :: stream = c_null_ptr
  contains
    procedure :: destroy => steps_destroy
    procedure, private :: create_r32_1, create_r32_2, create_r32_3, create_r32_4
    procedure, private :: create_r64_1, create_r64_2, create_r64_3, create_r64_4
    !> call steps%create(codec, step, window, bound [, stat] [, errmsg]); step is an array like each time step's.
    generic :: create => create_r32_1, create_r32_2, create_r32_3, create_r32_4, &
      create_r64_1, create_r64_2, create_r64_3, create_r64_4
    procedure, private :: push_r32_1, push_r32_2, push_r32_3, push_r32_4
    procedure, private :: push_r64_1, push_r64_2, push_r64_3, push_r64_4
    !> call steps%push(step, stream [, report] [, stat] [, errmsg]); stream has the window's bytes, or none while it fills.
    generic :: push => push_r32_1, push_r32_2, push_r32_3, push_r32_4, push_r64_1, push_r64_2, push_r64_3, push_r64_4
    !> call steps%flush(stream [, report] [, stat] [, errmsg]); the bytes of the steps that wait.
    procedure :: flush => steps_flush
    procedure, private :: steps_assign
    generic :: assignment(=) => steps_assign
    final :: steps_finalise
  end type

  interface
    function c_create(options, handle) bind(c, name='fieldpress_create') result(status)
      import
      character(kind=c_char), intent(in) :: options(*)
      type(c_ptr), intent(out) :: handle
      integer(c_int32_t) :: status
    end function
    subroutine c_destroy(handle) bind(c, name='fieldpress_destroy')
      import
      type(c_ptr), value :: handle
    end subroutine
    function c_compress_bound(field, bytes) bind(c, name='fieldpress_compress_bound') result(status)
      import
      type(fieldpress_c_field), intent(in) :: field
      integer(c_size_t), intent(out) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_compress(handle, field, kind, value, buffer, bytes, report) bind(c, name='fieldpress_compress') &
        result(status)
      import
      type(c_ptr), value :: handle, buffer, report
      type(fieldpress_c_field), intent(in) :: field
      integer(c_int32_t), value :: kind
      real(c_double), value :: value
      integer(c_size_t), intent(inout) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_decompress(handle, stream, bytes, request, field, report) bind(c, name='fieldpress_decompress') &
        result(status)
      import
      type(c_ptr), value :: handle, stream, request, report
      integer(c_size_t), value :: bytes
      type(fieldpress_c_field), intent(in) :: field
      integer(c_int32_t) :: status
    end function
    function c_inspect(stream, bytes, info) bind(c, name='fieldpress_inspect') result(status)
      import
      type(c_ptr), value :: stream
      integer(c_size_t), value :: bytes
      type(fieldpress_info), intent(inout) :: info
      integer(c_int32_t) :: status
    end function
    function c_stream_create(handle, step, window, kind, value, stream) bind(c, name='fieldpress_stream_create') &
        result(status)
      import
      type(c_ptr), value :: handle
      type(fieldpress_c_field), intent(in) :: step
      integer(c_size_t), value :: window
      integer(c_int32_t), value :: kind
      real(c_double), value :: value
      type(c_ptr), intent(out) :: stream
      integer(c_int32_t) :: status
    end function
    subroutine c_stream_destroy(stream) bind(c, name='fieldpress_stream_destroy')
      import
      type(c_ptr), value :: stream
    end subroutine
    function c_stream_bound(stream, bytes) bind(c, name='fieldpress_stream_bound') result(status)
      import
      type(c_ptr), value :: stream
      integer(c_size_t), intent(out) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_stream_push(stream, step, buffer, bytes, report) bind(c, name='fieldpress_stream_push') result(status)
      import
      type(c_ptr), value :: stream, buffer, report
      type(fieldpress_c_field), intent(in) :: step
      integer(c_size_t), intent(inout) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_stream_flush(stream, buffer, bytes, report) bind(c, name='fieldpress_stream_flush') result(status)
      import
      type(c_ptr), value :: stream, buffer, report
      integer(c_size_t), intent(inout) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_last_error() bind(c, name='fieldpress_last_error') result(text)
      import
      type(c_ptr) :: text
    end function
    function c_status_name(status) bind(c, name='fieldpress_status_name') result(text)
      import
      integer(c_int32_t), value :: status
      type(c_ptr) :: text
    end function
    function c_version() bind(c, name='fieldpress_version') result(text)
      import
      type(c_ptr) :: text
    end function
    function c_strlen(text) bind(c, name='strlen') result(length)
      import
      type(c_ptr), value :: text
      integer(c_size_t) :: length
    end function
  end interface

  !> The C field of an array, where it lies.
  interface fieldpress_describe
    procedure :: describe_r32_1, describe_r32_2, describe_r32_3, describe_r32_4
    procedure :: describe_r64_1, describe_r64_2, describe_r64_3, describe_r64_4
  end interface

contains

  ! Bounds.

  !> No error above value, in the field's units, at any point.
  pure function fieldpress_abs(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(1, value)
  end function

  !> No error above value times the field's range, at any point.
  pure function fieldpress_rel(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(2, value)
  end function

  !> Root mean square error at most value times the field's range.
  pure function fieldpress_nrmse(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(3, value)
  end function

  !> 20 log10(range / root mean square error) at least this many dB.
  pure function fieldpress_psnr(decibels) result(bound)
    real(real64), intent(in) :: decibels
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(4, decibels)
  end function

  !> The l2 norm of the error of every 8x8x8 block at most value.
  pure function fieldpress_block_l2(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(5, value)
  end function

  !> No error above value times the size of the point's own value: zeros and signs are exact.
  pure function fieldpress_pw_rel(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(8, value)
  end function

  !> Every bit as it was.
  pure function fieldpress_lossless() result(bound)
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(6, 0.0_real64)
  end function

  !> A size in place of a bound, for codec%compress: at most the field's bytes over value.
  pure function fieldpress_ratio(value) result(bound)
    real(real64), intent(in) :: value
    type(fieldpress_bound) :: bound
    bound = fieldpress_bound(7, value)
  end function

  ! Questions.

  !> The library's version.
  function fieldpress_version() result(text)
    character(:), allocatable :: text
    text = from_c(c_version())
  end function

  !> A status as text.
  function fieldpress_status_name(status) result(text)
    integer, intent(in) :: status
    character(:), allocatable :: text
    text = from_c(c_status_name(int(status, c_int32_t)))
  end function

  !> What a stream's header says.
  subroutine fieldpress_inspect(stream, info, stat, errmsg)
    integer(int8), contiguous, target, intent(in) :: stream(:)
    type(fieldpress_info), intent(out) :: info
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    info%size = c_sizeof(info)
    call fieldpress_finish(c_inspect(address(stream), size(stream, kind=c_size_t), info), stat, errmsg)
  end subroutine

  ! The codec's life.

  !> Makes the codec; options as fieldpress_create takes them, 'key=value' separated by semicolons.
  subroutine codec_create(self, options, stat, errmsg)
    class(fieldpress_codec), intent(inout) :: self
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable :: text
    text = ''
    if (present(options)) text = trim(options)
    call self%destroy()
    call fieldpress_finish(c_create(text // c_null_char, self%handle), stat, errmsg)
  end subroutine

  !> Destroys it, before its scope ends.
  subroutine codec_destroy(self)
    class(fieldpress_codec), intent(inout) :: self
    call c_destroy(self%handle)
    self%handle = c_null_ptr
  end subroutine

  subroutine codec_finalise(self)
    type(fieldpress_codec), intent(inout) :: self
    call self%destroy()
  end subroutine

  !> Destroys the steps, and loses those that wait.
  subroutine steps_destroy(self)
    class(fieldpress_steps), intent(inout) :: self
    call c_stream_destroy(self%stream)
    self%stream = c_null_ptr
  end subroutine

  subroutine steps_finalise(self)
    type(fieldpress_steps), intent(inout) :: self
    call self%destroy()
  end subroutine

  ! Two variables that own the same handle would both destroy it.

  subroutine codec_assign(self, other)
    class(fieldpress_codec), intent(inout) :: self
    type(fieldpress_codec), intent(in) :: other
    if (c_associated(self%handle, other%handle)) return
    write (error_unit, '(a)') 'fieldpress: a fieldpress_codec cannot be assigned; pass it as an argument'
    error stop 1
  end subroutine

  subroutine steps_assign(self, other)
    class(fieldpress_steps), intent(inout) :: self
    type(fieldpress_steps), intent(in) :: other
    if (c_associated(self%stream, other%stream)) return
    write (error_unit, '(a)') 'fieldpress: fieldpress_steps cannot be assigned; pass them as an argument'
    error stop 1
  end subroutine

  ! What the procedures of each kind and rank share.

  subroutine compress_any(self, field, bound, stream, report, stat, errmsg)
    class(fieldpress_codec), intent(in) :: self
    type(fieldpress_c_field), intent(in) :: field
    type(fieldpress_bound), intent(in) :: bound
    integer(int8), allocatable, intent(out) :: stream(:)
    type(fieldpress_report), optional, target, intent(inout) :: report
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(int8), allocatable, target :: buffer(:)
    integer(c_size_t) :: bytes
    integer(c_int32_t) :: status
    character(:), allocatable :: reason
    status = c_compress_bound(field, bytes)
    if (status == fieldpress_ok) call reserve(buffer, bytes, status, reason)
    if (status == fieldpress_ok) &
      status = c_compress(self%handle, field, bound%kind, bound%value, address(buffer), bytes, report_address(report))
    if (status == fieldpress_ok) call hand_over(buffer, bytes, stream, status, reason)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine decompress_any(self, stream, field, report, stat, errmsg)
    class(fieldpress_codec), intent(in) :: self
    integer(int8), contiguous, target, intent(in) :: stream(:)
    type(fieldpress_c_field), intent(in) :: field
    type(fieldpress_report), optional, target, intent(inout) :: report
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_decompress(self%handle, address(stream), size(stream, kind=c_size_t), c_null_ptr, field, &
      report_address(report)), stat, errmsg)
  end subroutine

  subroutine create_any(self, codec, step, window, bound, stat, errmsg)
    class(fieldpress_steps), intent(inout) :: self
    class(fieldpress_codec), intent(in) :: codec
    type(fieldpress_c_field), intent(in) :: step
    integer, intent(in) :: window
    type(fieldpress_bound), intent(in) :: bound
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%destroy()
    call fieldpress_finish(c_stream_create(codec%handle, step, int(window, c_size_t), bound%kind, bound%value, self%stream), stat, &
      errmsg)
  end subroutine

  subroutine push_any(self, step, stream, report, stat, errmsg)
    class(fieldpress_steps), intent(inout) :: self
    type(fieldpress_c_field), intent(in) :: step
    integer(int8), allocatable, intent(out) :: stream(:)
    type(fieldpress_report), optional, target, intent(inout) :: report
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(int8), allocatable, target :: buffer(:)
    integer(c_size_t) :: bytes
    integer(c_int32_t) :: status
    character(:), allocatable :: reason
    status = c_stream_bound(self%stream, bytes)
    if (status == fieldpress_ok) call reserve(buffer, bytes, status, reason)
    if (status == fieldpress_ok) status = c_stream_push(self%stream, step, address(buffer), bytes, report_address(report))
    if (status == fieldpress_ok) call hand_over(buffer, bytes, stream, status, reason)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine steps_flush(self, stream, report, stat, errmsg)
    class(fieldpress_steps), intent(inout) :: self
    integer(int8), allocatable, intent(out) :: stream(:)
    type(fieldpress_report), optional, target, intent(inout) :: report
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(int8), allocatable, target :: buffer(:)
    integer(c_size_t) :: bytes
    integer(c_int32_t) :: status
    character(:), allocatable :: reason
    status = c_stream_bound(self%stream, bytes)
    if (status == fieldpress_ok) call reserve(buffer, bytes, status, reason)
    if (status == fieldpress_ok) status = c_stream_flush(self%stream, address(buffer), bytes, report_address(report))
    if (status == fieldpress_ok) call hand_over(buffer, bytes, stream, status, reason)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  !> Reports a status as Fortran's own statements do: with the library's last message, unless the reason is the module's.
  subroutine fieldpress_finish(status, stat, errmsg, reason)
    integer(c_int32_t), intent(in) :: status
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable, optional, intent(in) :: reason
    character(:), allocatable :: message
    if (present(stat)) stat = status
    if (status == fieldpress_ok) return
    if (present(reason)) then
      if (allocated(reason)) message = reason
    end if
    if (.not. allocated(message)) message = from_c(c_last_error())
    if (present(errmsg)) errmsg = message
    if (present(stat)) return
    write (error_unit, '(2a)') 'fieldpress: ', message
    error stop 1
  end subroutine

  !> Memory for bytes, or a status and the reason: allocate alone would stop the program.
  subroutine reserve(buffer, bytes, status, reason)
    integer(int8), allocatable, intent(out) :: buffer(:)
    integer(c_size_t), intent(in) :: bytes
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: reason
    character(20) :: number
    integer :: failed
    status = fieldpress_ok
    allocate (buffer(bytes), stat=failed)
    if (failed == 0) return
    status = fieldpress_io
    write (number, '(i0)') bytes
    reason = 'out of memory: '//trim(number)//' bytes for a stream cannot be allocated'
  end subroutine

  !> The first bytes of a buffer, as the caller's stream.
  subroutine hand_over(buffer, bytes, stream, status, reason)
    integer(int8), intent(in) :: buffer(:)
    integer(c_size_t), intent(in) :: bytes
    integer(int8), allocatable, intent(out) :: stream(:)
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: reason
    call reserve(stream, bytes, status, reason)
    if (status == fieldpress_ok) stream(:) = buffer(:bytes)
  end subroutine

  function report_address(report) result(pointer)
    type(fieldpress_report), optional, target, intent(inout) :: report
    type(c_ptr) :: pointer
    pointer = c_null_ptr
    if (.not. present(report)) return
    report%size = c_sizeof(report)
    pointer = c_loc(report)
  end function

  function address(bytes) result(pointer)
    integer(int8), contiguous, target, intent(in) :: bytes(:)
    type(c_ptr) :: pointer
    integer(int8), target, save :: none(1) = 0_int8
    ! The address of an array without elements is not defined.
    pointer = c_loc(none)
    if (size(bytes, kind=c_size_t) > 0) pointer = c_loc(bytes)
  end function

  function from_c(text) result(copy)
    type(c_ptr), intent(in) :: text
    character(:), allocatable :: copy
    character(kind=c_char), pointer :: characters(:)
    integer(c_size_t) :: i
    call c_f_pointer(text, characters, [c_strlen(text)])
    allocate (character(size(characters, kind=c_size_t)) :: copy)
    do i = 1, size(characters, kind=c_size_t)
      copy(i:i) = characters(i)
    end do
  end function

  !> A field of dtype and shape (Fortran's order) whose first elements along each dimension lie at the addresses after:
  !> the C field of the same memory, with sizes and strides turned round.
  function described(first, dtype, shape, after) result(field)
    type(c_ptr), intent(in) :: first
    integer, intent(in) :: dtype
    integer(c_size_t), intent(in) :: shape(:)
    type(c_ptr), intent(in) :: after(:)
    type(fieldpress_c_field) :: field
    integer(c_intptr_t) :: bytes
    integer :: i, axis
    field%data = first
    field%dtype = dtype
    field%ndim = size(shape)
    field%dims = 0
    field%strides = 0
    do i = 1, size(shape)
      axis = size(shape) + 1 - i
      field%dims(axis) = shape(i)
      bytes = transfer(after(i), bytes) - transfer(first, bytes)
      ! A dimension of one element has no stride; a backward one becomes too large for the address space, an error.
      field%strides(axis) = merge(1_c_intptr_t, bytes / merge(4, 8, dtype == fieldpress_f32), shape(i) < 2)
    end do
  end function

#define KIND real32
#define DTYPE fieldpress_f32
#define RANKS :
#define FIRST 1
#define AFTER [c_loc(field(s(1)))]
#define DESCRIBE describe_r32_1
#define COMPRESS compress_r32_1
#define DECOMPRESS decompress_r32_1
#define CREATE create_r32_1
#define PUSH push_r32_1
#include "specifics.inc"
#define RANKS :,:
#define FIRST 1,1
#define AFTER [c_loc(field(s(1),1)), c_loc(field(1,s(2)))]
#define DESCRIBE describe_r32_2
#define COMPRESS compress_r32_2
#define DECOMPRESS decompress_r32_2
#define CREATE create_r32_2
#define PUSH push_r32_2
#include "specifics.inc"
#define RANKS :,:,:
#define FIRST 1,1,1
#define AFTER [c_loc(field(s(1),1,1)), c_loc(field(1,s(2),1)), c_loc(field(1,1,s(3)))]
#define DESCRIBE describe_r32_3
#define COMPRESS compress_r32_3
#define DECOMPRESS decompress_r32_3
#define CREATE create_r32_3
#define PUSH push_r32_3
#include "specifics.inc"
#define RANKS :,:,:,:
#define FIRST 1,1,1,1
#define AFTER [c_loc(field(s(1),1,1,1)), c_loc(field(1,s(2),1,1)), c_loc(field(1,1,s(3),1)), c_loc(field(1,1,1,s(4)))]
#define DESCRIBE describe_r32_4
#define COMPRESS compress_r32_4
#define DECOMPRESS decompress_r32_4
#define CREATE create_r32_4
#define PUSH push_r32_4
#include "specifics.inc"
#undef KIND
#undef DTYPE
#define KIND real64
#define DTYPE fieldpress_f64
#define RANKS :
#define FIRST 1
#define AFTER [c_loc(field(s(1)))]
#define DESCRIBE describe_r64_1
#define COMPRESS compress_r64_1
#define DECOMPRESS decompress_r64_1
#define CREATE create_r64_1
#define PUSH push_r64_1
#include "specifics.inc"
#define RANKS :,:
#define FIRST 1,1
#define AFTER [c_loc(field(s(1),1)), c_loc(field(1,s(2)))]
#define DESCRIBE describe_r64_2
#define COMPRESS compress_r64_2
#define DECOMPRESS decompress_r64_2
#define CREATE create_r64_2
#define PUSH push_r64_2
#include "specifics.inc"
#define RANKS :,:,:
#define FIRST 1,1,1
#define AFTER [c_loc(field(s(1),1,1)), c_loc(field(1,s(2),1)), c_loc(field(1,1,s(3)))]
#define DESCRIBE describe_r64_3
#define COMPRESS compress_r64_3
#define DECOMPRESS decompress_r64_3
#define CREATE create_r64_3
#define PUSH push_r64_3
#include "specifics.inc"
#define RANKS :,:,:,:
#define FIRST 1,1,1,1
#define AFTER [c_loc(field(s(1),1,1,1)), c_loc(field(1,s(2),1,1)), c_loc(field(1,1,s(3),1)), c_loc(field(1,1,1,s(4)))]
#define DESCRIBE describe_r64_4
#define COMPRESS compress_r64_4
#define DECOMPRESS decompress_r64_4
#define CREATE create_r64_4
#define PUSH push_r64_4
#include "specifics.inc"

end module fieldpress
