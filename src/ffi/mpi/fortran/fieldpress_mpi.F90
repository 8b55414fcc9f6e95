!> fieldpress archives for Fortran 2008, written by all ranks of an MPI job and read by any number of processes.
!>
!>   use mpi_f08
!>   use fieldpress
!>   use fieldpress_mpi
!>   type(fieldpress_archive) :: archive
!>   integer :: h
!>   call archive%open(MPI_COMM_WORLD, 'run.fpa', 'mode=append')      ! or an integer communicator
!>   call archive%define('h', [nx, ny], fieldpress_f64, h)
!>   call archive%begin_step(time)
!>   call archive%put(h, [first_x, first_y], height(1:mx, 1:my), fieldpress_nrmse(1e-4_real64))
!>   call archive%end_step()
!>   call archive%close()
!>
!> Sizes and indices have Fortran's order, first index fastest, and count from 1; steps count from 0. Both may be integers of 32 or
!> of 64 bits. Every call takes stat= and errmsg=, as in module fieldpress. Opening, end_step, flush and close are collective, and give the same error on all ranks.
module fieldpress_mpi
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, int32, int64, real32, real64
  use mpi_f08, only: MPI_Comm
  use fieldpress, only: fieldpress_bound, fieldpress_buffer_too_small, fieldpress_c_field, fieldpress_describe, &
    fieldpress_finish, fieldpress_invalid_argument, fieldpress_io, fieldpress_max_dims, &
    fieldpress_max_sentinels, fieldpress_ok
  implicit none
  private

  public :: fieldpress_archive, fieldpress_reader, fieldpress_step_report

  !> In place of a variable's number: the archive itself.
  integer, parameter, public :: fieldpress_archive_itself = -1

  !> What ending a step did; fieldpress_archive.h says what each member is.
  type, bind(c) :: fieldpress_step_report
    integer(c_size_t) :: size
    integer(c_int64_t) :: steps, chunks, input_bytes, stream_bytes, index_bytes
    real(c_double) :: local_seconds, wait_seconds, collective_seconds
    integer(c_int64_t) :: sentinel_count
    real(c_double) :: sentinels(fieldpress_max_sentinels)
  end type

  type, bind(c) :: c_variable
    integer(c_size_t) :: size
    integer(c_int32_t) :: dtype, ndim
    integer(c_size_t) :: dims(fieldpress_max_dims)
    character(kind=c_char) :: name(256)
  end type

  !> An archive that is written. Close it: it is not closed where it goes out of scope, since closing waits for all ranks. It
  !> cannot be assigned: pass it on as an argument.
  type :: fieldpress_archive
    private
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure, private :: open_integer, open_f08
    !> call archive%open(comm, path [, options] [, stat] [, errmsg]); comm is an integer or a type(MPI_Comm).
    generic :: open => open_integer, open_f08
    procedure, private :: define_int32, define_int64
    !> call archive%define(name, shape, dtype, variable [, stat] [, errmsg])
    generic :: define => define_int32, define_int64
    !> call archive%set_text(name, value [, variable] [, stat] [, errmsg])
    procedure :: set_text => archive_set_text
    !> call archive%set_reals(name, values [, variable] [, stat] [, errmsg])
    procedure :: set_reals => archive_set_reals
    !> call archive%set_dimensions(names, variable [, stat] [, errmsg]): names of a variable's axes in the order of its shape.
    procedure :: set_dimensions => archive_set_dimensions
    !> call archive%set_coordinate(name, values [, units] [, stat] [, errmsg]): a value for each index along the dimension name.
    procedure :: set_coordinate => archive_set_coordinate
    procedure :: begin_step => archive_begin_step
    procedure, private :: put_r32_1, put_r32_2, put_r32_3, put_r32_4, put_r64_1, put_r64_2, put_r64_3, put_r64_4
    !> call archive%put(variable, start, field, bound [, stat] [, errmsg]); sections, such as those without halos, are read
    !> where they lie.
    generic :: put => put_r32_1, put_r32_2, put_r32_3, put_r32_4, put_r64_1, put_r64_2, put_r64_3, put_r64_4
    !> call archive%end_step([report] [, stat] [, errmsg])
    procedure :: end_step => archive_end_step
    procedure :: flush => archive_flush
    !> call archive%committed_steps(steps [, stat] [, errmsg])
    procedure :: committed_steps => archive_committed_steps
    procedure :: close => archive_close
    procedure, private :: archive_assign
    generic :: assignment(=) => archive_assign
  end type

  !> An archive opened for reading; needs no communicator. Finalised where it goes out of scope. It cannot be assigned: pass it
  !> on as an argument.
  type :: fieldpress_reader
    private
    type(c_ptr) :: handle = c_null_ptr
  contains
    !> call reader%open(path [, options] [, stat] [, errmsg])
    procedure :: open => reader_open
    procedure, private :: open_shared_integer, open_shared_f08
    !> call reader%open_shared(comm, path [, options] [, stat] [, errmsg]); collective: rank 0 finds out what is in it.
    generic :: open_shared => open_shared_integer, open_shared_f08
    procedure, private :: share_index_integer, share_index_f08
    !> call reader%share_index(comm, step [, stat] [, errmsg]); collective: rank 0 reads the step's index for all.
    generic :: share_index => share_index_integer, share_index_f08
    !> call reader%counts(variables, steps [, stat] [, errmsg])
    procedure :: counts => reader_counts
    !> call reader%find(name, variable [, stat] [, errmsg])
    procedure :: find => reader_find
    procedure, private :: variable_int32, variable_int64
    !> call reader%variable(number, name, extents, dtype [, stat] [, errmsg]); numbers count from 0. Extents that do not fit the
    !> kind of integer that is given are an error.
    generic :: variable => variable_int32, variable_int64
    !> call reader%get_text(name, text [, variable] [, stat] [, errmsg]): an attribute of the archive, or of a variable.
    procedure :: get_text => reader_get_text
    !> call reader%get_reals(name, values [, variable] [, stat] [, errmsg]); whole numbers come as real64, too.
    procedure :: get_reals => reader_get_reals
    !> call reader%time(step, time [, stat] [, errmsg])
    procedure :: time => reader_time
    procedure, private :: read_r32_1, read_r32_2, read_r32_3, read_r32_4, read_r64_1, read_r64_2, read_r64_3, read_r64_4
    !> call reader%read(variable, step, start, field [, stat] [, errmsg]); the box has the shape of field.
    generic :: read => read_r32_1, read_r32_2, read_r32_3, read_r32_4, read_r64_1, read_r64_2, read_r64_3, read_r64_4
    procedure, private :: read_steps_r32_2, read_steps_r32_3, read_steps_r32_4
    procedure, private :: read_steps_r64_2, read_steps_r64_3, read_steps_r64_4
    !> call reader%read_steps(variable, first_step, start, field [, stat] [, errmsg]): as many steps as the last dimension of
    !> field has, of the box that the other dimensions are.
    generic :: read_steps => read_steps_r32_2, read_steps_r32_3, read_steps_r32_4, &
      read_steps_r64_2, read_steps_r64_3, read_steps_r64_4
    procedure :: close => reader_close
    procedure, private :: reader_assign
    generic :: assignment(=) => reader_assign
    final :: reader_finalise
  end type

  interface
    function c_open(comm, path, options, archive) bind(c, name='fieldpress_archive_open_fortran') result(status)
      import
      integer(c_int), value :: comm
      character(kind=c_char), intent(in) :: path(*), options(*)
      type(c_ptr), intent(out) :: archive
      integer(c_int32_t) :: status
    end function
    function c_define(archive, name, dtype, ndim, dims, variable) bind(c, name='fieldpress_archive_define') result(status)
      import
      type(c_ptr), value :: archive
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t), value :: dtype, ndim
      integer(c_size_t), intent(in) :: dims(*)
      integer(c_int32_t), intent(out) :: variable
      integer(c_int32_t) :: status
    end function
    function c_set_text(archive, variable, name, value) bind(c, name='fieldpress_archive_set_text') result(status)
      import
      type(c_ptr), value :: archive
      integer(c_int32_t), value :: variable
      character(kind=c_char), intent(in) :: name(*), value(*)
      integer(c_int32_t) :: status
    end function
    function c_set_reals(archive, variable, name, count, values) bind(c, name='fieldpress_archive_set_reals') &
        result(status)
      import
      type(c_ptr), value :: archive
      integer(c_int32_t), value :: variable
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), value :: count
      real(c_double), intent(in) :: values(*)
      integer(c_int32_t) :: status
    end function
    function c_begin_step(archive, time) bind(c, name='fieldpress_archive_begin_step') result(status)
      import
      type(c_ptr), value :: archive
      real(c_double), value :: time
      integer(c_int32_t) :: status
    end function
    function c_put(archive, variable, start, field, kind, value) bind(c, name='fieldpress_archive_put') result(status)
      import
      type(c_ptr), value :: archive
      integer(c_int32_t), value :: variable, kind
      integer(c_size_t), intent(in) :: start(*)
      type(fieldpress_c_field), intent(in) :: field
      real(c_double), value :: value
      integer(c_int32_t) :: status
    end function
    function c_end_step(archive, report) bind(c, name='fieldpress_archive_end_step') result(status)
      import
      type(c_ptr), value :: archive, report
      integer(c_int32_t) :: status
    end function
    function c_flush(archive, report) bind(c, name='fieldpress_archive_flush') result(status)
      import
      type(c_ptr), value :: archive, report
      integer(c_int32_t) :: status
    end function
    function c_committed_steps(archive, steps) bind(c, name='fieldpress_archive_committed_steps') result(status)
      import
      type(c_ptr), value :: archive
      integer(c_int64_t), intent(out) :: steps
      integer(c_int32_t) :: status
    end function
    function c_close(archive) bind(c, name='fieldpress_archive_close') result(status)
      import
      type(c_ptr), value :: archive
      integer(c_int32_t) :: status
    end function
    function c_reader_open(path, options, reader) bind(c, name='fieldpress_reader_open') result(status)
      import
      character(kind=c_char), intent(in) :: path(*), options(*)
      type(c_ptr), intent(out) :: reader
      integer(c_int32_t) :: status
    end function
    function c_reader_open_shared(comm, path, options, reader) &
        bind(c, name='fieldpress_reader_open_shared_fortran') result(status)
      import
      integer(c_int), value :: comm
      character(kind=c_char), intent(in) :: path(*), options(*)
      type(c_ptr), intent(out) :: reader
      integer(c_int32_t) :: status
    end function
    function c_reader_share_index(comm, reader, step) bind(c, name='fieldpress_reader_share_index_fortran') &
        result(status)
      import
      integer(c_int), value :: comm
      type(c_ptr), value :: reader
      integer(c_int64_t), value :: step
      integer(c_int32_t) :: status
    end function
    subroutine c_reader_close(reader) bind(c, name='fieldpress_reader_close')
      import
      type(c_ptr), value :: reader
    end subroutine
    function c_reader_counts(reader, variables, steps) bind(c, name='fieldpress_reader_counts') result(status)
      import
      type(c_ptr), value :: reader
      integer(c_int32_t), intent(out) :: variables
      integer(c_int64_t), intent(out) :: steps
      integer(c_int32_t) :: status
    end function
    function c_reader_find(reader, name, variable) bind(c, name='fieldpress_reader_find') result(status)
      import
      type(c_ptr), value :: reader
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t), intent(out) :: variable
      integer(c_int32_t) :: status
    end function
    function c_reader_variable(reader, variable, info) bind(c, name='fieldpress_reader_variable') result(status)
      import
      type(c_ptr), value :: reader
      integer(c_int32_t), value :: variable
      type(c_variable), intent(inout) :: info
      integer(c_int32_t) :: status
    end function
    function c_reader_get_text(reader, variable, name, buffer, bytes) bind(c, name='fieldpress_reader_get_text') &
        result(status)
      import
      type(c_ptr), value :: reader
      integer(c_int32_t), value :: variable
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(out) :: buffer(*)
      integer(c_size_t), intent(inout) :: bytes
      integer(c_int32_t) :: status
    end function
    function c_reader_get_reals(reader, variable, name, values, count) bind(c, name='fieldpress_reader_get_reals') &
        result(status)
      import
      type(c_ptr), value :: reader
      integer(c_int32_t), value :: variable
      character(kind=c_char), intent(in) :: name(*)
      real(c_double), intent(out) :: values(*)
      integer(c_size_t), intent(inout) :: count
      integer(c_int32_t) :: status
    end function
    function c_reader_time(reader, step, time) bind(c, name='fieldpress_reader_time') result(status)
      import
      type(c_ptr), value :: reader
      integer(c_int64_t), value :: step
      real(c_double), intent(out) :: time
      integer(c_int32_t) :: status
    end function
    function c_reader_read(reader, variable, first, steps, start, count, missing, output) &
        bind(c, name='fieldpress_reader_read') result(status)
      import
      type(c_ptr), value :: reader, missing
      integer(c_int32_t), value :: variable
      integer(c_int64_t), value :: first, steps
      integer(c_size_t), intent(in) :: start(*), count(*)
      type(fieldpress_c_field), intent(in) :: output
      integer(c_int32_t) :: status
    end function
  end interface

contains

  function reversed(values) result(other)
    integer(int64), intent(in) :: values(:)
    integer(c_size_t) :: other(size(values))
    other = values(size(values):1:-1)
  end function

  function text_or_nothing(text) result(given)
    character(*), optional, intent(in) :: text
    character(:), allocatable :: given
    given = c_null_char
    if (present(text)) given = trim(text)//c_null_char
  end function

  subroutine open_integer(self, comm, path, options, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    integer, intent(in) :: comm
    character(*), intent(in) :: path
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_open(int(comm, c_int), trim(path)//c_null_char, text_or_nothing(options), self%handle), stat, errmsg)
  end subroutine

  subroutine open_f08(self, comm, path, options, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    type(MPI_Comm), intent(in) :: comm
    character(*), intent(in) :: path
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%open_integer(comm%mpi_val, path, options, stat, errmsg)
  end subroutine

  subroutine define_int32(self, name, extents, dtype, variable, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: name
    integer(int32), intent(in) :: extents(:)
    integer, intent(in) :: dtype
    integer, intent(out) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%define_int64(name, int(extents, int64), dtype, variable, stat, errmsg)
  end subroutine

  subroutine define_int64(self, name, extents, dtype, variable, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: name
    integer(int64), intent(in) :: extents(:)
    integer, intent(in) :: dtype
    integer, intent(out) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(c_int32_t) :: status, number
    number = -1
    status = c_define(self%handle, trim(name)//c_null_char, int(dtype, c_int32_t), size(extents), reversed(extents), number)
    variable = number
    call fieldpress_finish(status, stat, errmsg)
  end subroutine

  subroutine archive_set_text(self, name, value, variable, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: name, value
    integer, optional, intent(in) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_set_text(self%handle, owner(variable), trim(name)//c_null_char, trim(value)//c_null_char), &
      stat, errmsg)
  end subroutine

  subroutine archive_set_dimensions(self, names, variable, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: names(:)
    integer, intent(in) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable :: list
    integer :: k
    ! The archive has the slowest axis first.
    list = ''
    do k = size(names), 1, -1
      list = list//trim(names(k))
      if (k > 1) list = list//','
    end do
    call self%set_text('_dimensions', list, variable, stat, errmsg)
  end subroutine
  subroutine archive_set_coordinate(self, name, values, units, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: name
    real(real64), intent(in) :: values(:)
    character(*), optional, intent(in) :: units
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%set_reals('_coordinate.'//trim(name), values, stat=stat, errmsg=errmsg)
    if (present(stat)) then
      if (stat /= fieldpress_ok) return
    end if
    if (present(units)) call self%set_text('_coordinate.'//trim(name)//'.units', units, stat=stat, errmsg=errmsg)
  end subroutine
  subroutine archive_set_reals(self, name, values, variable, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    character(*), intent(in) :: name
    real(real64), intent(in) :: values(:)
    integer, optional, intent(in) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_set_reals(self%handle, owner(variable), trim(name)//c_null_char, &
      size(values, kind=c_size_t), values), stat, errmsg)
  end subroutine

  !> Whose attribute: a variable's, or the archive's.
  function owner(variable) result(number)
    integer, optional, intent(in) :: variable
    integer(c_int32_t) :: number
    number = fieldpress_archive_itself
    if (present(variable)) number = variable
  end function

  subroutine archive_begin_step(self, time, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    real(real64), intent(in) :: time
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_begin_step(self%handle, time), stat, errmsg)
  end subroutine

  subroutine archive_end_step(self, report, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    type(fieldpress_step_report), optional, target, intent(inout) :: report
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    type(c_ptr) :: address
    address = c_null_ptr
    if (present(report)) then
      report%size = c_sizeof(report)
      address = c_loc(report)
    end if
    call fieldpress_finish(c_end_step(self%handle, address), stat, errmsg)
  end subroutine

  subroutine archive_flush(self, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_flush(self%handle, c_null_ptr), stat, errmsg)
  end subroutine

  subroutine archive_committed_steps(self, steps, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    integer, intent(out) :: steps
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(c_int64_t) :: count
    integer(c_int32_t) :: status
    count = 0
    status = c_committed_steps(self%handle, count)
    steps = int(count)
    call fieldpress_finish(status, stat, errmsg)
  end subroutine

  subroutine archive_close(self, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    type(c_ptr) :: handle
    handle = self%handle
    self%handle = c_null_ptr
    call fieldpress_finish(c_close(handle), stat, errmsg)
  end subroutine

  subroutine reader_open(self, path, options, stat, errmsg)
    class(fieldpress_reader), intent(inout) :: self
    character(*), intent(in) :: path
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%close()
    call fieldpress_finish(c_reader_open(trim(path)//c_null_char, text_or_nothing(options), self%handle), stat, errmsg)
  end subroutine

  subroutine open_shared_integer(self, comm, path, options, stat, errmsg)
    class(fieldpress_reader), intent(inout) :: self
    integer, intent(in) :: comm
    character(*), intent(in) :: path
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%close()
    call fieldpress_finish(c_reader_open_shared(int(comm, c_int), trim(path)//c_null_char, text_or_nothing(options), &
      self%handle), stat, errmsg)
  end subroutine

  subroutine open_shared_f08(self, comm, path, options, stat, errmsg)
    class(fieldpress_reader), intent(inout) :: self
    type(MPI_Comm), intent(in) :: comm
    character(*), intent(in) :: path
    character(*), optional, intent(in) :: options
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%open_shared_integer(comm%mpi_val, path, options, stat, errmsg)
  end subroutine

  subroutine share_index_integer(self, comm, step, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: comm, step
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call fieldpress_finish(c_reader_share_index(int(comm, c_int), self%handle, int(step, c_int64_t)), stat, errmsg)
  end subroutine

  subroutine share_index_f08(self, comm, step, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    type(MPI_Comm), intent(in) :: comm
    integer, intent(in) :: step
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    call self%share_index_integer(comm%mpi_val, step, stat, errmsg)
  end subroutine

  subroutine reader_counts(self, variables, steps, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(out) :: variables, steps
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(c_int32_t) :: status, found
    integer(c_int64_t) :: count
    found = 0
    count = 0
    status = c_reader_counts(self%handle, found, count)
    variables = found
    steps = int(count)
    call fieldpress_finish(status, stat, errmsg)
  end subroutine

  subroutine reader_find(self, name, variable, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    character(*), intent(in) :: name
    integer, intent(out) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(c_int32_t) :: status, number
    number = -1
    status = c_reader_find(self%handle, trim(name)//c_null_char, number)
    variable = number
    call fieldpress_finish(status, stat, errmsg)
  end subroutine

  subroutine variable_int32(self, number, name, extents, dtype, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: number
    character(:), allocatable, intent(out) :: name
    integer(int32), allocatable, intent(out) :: extents(:)
    integer, intent(out) :: dtype
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(int64), allocatable :: wide(:)
    character(:), allocatable :: reason
    character(24) :: extent
    integer(c_int32_t) :: status
    status = described(self, number, name, wide, dtype)
    if (any(wide > huge(extents))) then
      write (extent, '(i0)') maxval(wide)
      reason = 'an extent of '//trim(extent)//' needs extents of integer(int64)'
      status = fieldpress_invalid_argument
      wide = wide(:0)
    end if
    extents = int(wide, int32)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine variable_int64(self, number, name, extents, dtype, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: number
    character(:), allocatable, intent(out) :: name
    integer(int64), allocatable, intent(out) :: extents(:)
    integer, intent(out) :: dtype
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    integer(c_int32_t) :: status
    status = described(self, number, name, extents, dtype)
    call fieldpress_finish(status, stat, errmsg)
  end subroutine

  function described(self, number, name, extents, dtype) result(status)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: number
    character(:), allocatable, intent(out) :: name
    integer(int64), allocatable, intent(out) :: extents(:)
    integer, intent(out) :: dtype
    integer(c_int32_t) :: status
    type(c_variable) :: info
    info%size = c_sizeof(info)
    info%dtype = 0
    info%ndim = 0
    info%name = c_null_char
    status = c_reader_variable(self%handle, int(number, c_int32_t), info)
    name = text_of(info%name)
    extents = int(info%dims(info%ndim:1:-1), int64)
    dtype = info%dtype
  end function

  subroutine reader_get_text(self, name, text, variable, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    character(*), intent(in) :: name
    character(:), allocatable, intent(out) :: text
    integer, optional, intent(in) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(kind=c_char), allocatable :: buffer(:)
    character(:), allocatable :: reason
    integer(c_size_t) :: bytes
    integer(c_int32_t) :: status
    integer :: failed
    bytes = 256
    text = ''
    do
      allocate (buffer(bytes), stat=failed)
      if (failed /= 0) exit
      buffer = c_null_char
      status = c_reader_get_text(self%handle, owner(variable), trim(name)//c_null_char, buffer, bytes)
      if (status /= fieldpress_buffer_too_small) exit
      deallocate (buffer)
    end do
    if (failed /= 0) call no_memory(bytes, status, reason)
    if (status == fieldpress_ok) text = text_of(buffer)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine reader_get_reals(self, name, values, variable, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    character(*), intent(in) :: name
    real(real64), allocatable, intent(out) :: values(:)
    integer, optional, intent(in) :: variable
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    real(c_double), allocatable :: buffer(:)
    character(:), allocatable :: reason
    integer(c_size_t) :: count
    integer(c_int32_t) :: status
    integer :: failed
    count = 16
    do
      allocate (buffer(count), stat=failed)
      if (failed /= 0) exit
      status = c_reader_get_reals(self%handle, owner(variable), trim(name)//c_null_char, buffer, count)
      if (status /= fieldpress_buffer_too_small) exit
      deallocate (buffer)
    end do
    if (failed /= 0) call no_memory(8*count, status, reason)
    if (status /= fieldpress_ok) count = 0
    allocate (values(count), stat=failed)
    if (failed /= 0) call no_memory(8*count, status, reason)
    if (status == fieldpress_ok) values(:) = buffer(:count)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  !> What allocate would stop the program for.
  subroutine no_memory(bytes, status, reason)
    integer(c_size_t), intent(in) :: bytes
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: reason
    character(20) :: number
    status = fieldpress_io
    write (number, '(i0)') bytes
    reason = 'out of memory: '//trim(number)//' bytes for an attribute cannot be allocated'
  end subroutine

  !> Characters up to the first zero.
  function text_of(characters) result(text)
    character(kind=c_char), intent(in) :: characters(:)
    character(:), allocatable :: text
    integer(c_size_t) :: length, i
    length = size(characters, kind=c_size_t)
    do i = length, 1, -1
      if (characters(i) == c_null_char) length = i - 1
    end do
    allocate (character(length) :: text)
    do i = 1, length
      text(i:i) = characters(i)
    end do
  end function

  subroutine reader_time(self, step, time, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: step
    real(real64), intent(out) :: time
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    time = 0
    call fieldpress_finish(c_reader_time(self%handle, int(step, c_int64_t), time), stat, errmsg)
  end subroutine

  subroutine reader_close(self)
    class(fieldpress_reader), intent(inout) :: self
    call c_reader_close(self%handle)
    self%handle = c_null_ptr
  end subroutine

  subroutine reader_finalise(self)
    type(fieldpress_reader), intent(inout) :: self
    call self%close()
  end subroutine

  ! Two variables that own the same handle would both close it.

  subroutine archive_assign(self, other)
    class(fieldpress_archive), intent(inout) :: self
    type(fieldpress_archive), intent(in) :: other
    if (c_associated(self%handle, other%handle)) return
    write (error_unit, '(a)') 'fieldpress: a fieldpress_archive cannot be assigned; pass it as an argument'
    error stop 1
  end subroutine

  subroutine reader_assign(self, other)
    class(fieldpress_reader), intent(inout) :: self
    type(fieldpress_reader), intent(in) :: other
    if (c_associated(self%handle, other%handle)) return
    write (error_unit, '(a)') 'fieldpress: a fieldpress_reader cannot be assigned; pass it as an argument'
    error stop 1
  end subroutine

  subroutine put_any(self, variable, start, field, bound, stat, errmsg)
    class(fieldpress_archive), intent(inout) :: self
    integer, intent(in) :: variable
    class(*), intent(in) :: start(:)
    type(fieldpress_c_field), intent(in) :: field
    type(fieldpress_bound), intent(in) :: bound
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable :: reason
    integer(c_size_t) :: indices(fieldpress_max_dims)
    integer(c_int32_t) :: status
    call c_start(start, int(field%ndim), indices, status, reason)
    ! Also where that has failed: the library must know of it, for end_step to tell the other ranks.
    status = c_put(self%handle, int(variable, c_int32_t), indices, field, bound%kind, bound%value)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine read_any(self, variable, step, start, field, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: variable, step
    class(*), intent(in) :: start(:)
    type(fieldpress_c_field), intent(in) :: field
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable :: reason
    integer(c_size_t) :: indices(fieldpress_max_dims)
    integer(c_int32_t) :: status
    call c_start(start, int(field%ndim), indices, status, reason)
    if (status == fieldpress_ok) status = c_reader_read(self%handle, int(variable, c_int32_t), int(step, c_int64_t), &
      1_c_int64_t, indices, field%dims, c_null_ptr, field)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  subroutine read_steps_any(self, variable, first_step, start, field, stat, errmsg)
    class(fieldpress_reader), intent(in) :: self
    integer, intent(in) :: variable, first_step
    class(*), intent(in) :: start(:)
    type(fieldpress_c_field), intent(in) :: field
    integer, optional, intent(out) :: stat
    character(*), optional, intent(inout) :: errmsg
    character(:), allocatable :: reason
    integer(c_size_t) :: indices(fieldpress_max_dims)
    integer(c_int32_t) :: status
    call c_start(start, int(field%ndim) - 1, indices, status, reason)
    ! In C's order the steps come first.
    if (status == fieldpress_ok) status = c_reader_read(self%handle, int(variable, c_int32_t), int(first_step, c_int64_t), &
      int(field%dims(1), c_int64_t), indices, [field%dims(2:), 0_c_size_t], c_null_ptr, field)
    call fieldpress_finish(status, stat, errmsg, reason)
  end subroutine

  !> The first indices of a box, in C's order and from 0, of integers of 32 or 64 bits. C reads as many as the field or the
  !> variable has dimensions: those that are not given, or all where something is wrong with them, lie outside of any domain.
  subroutine c_start(start, ndim, indices, status, reason)
    class(*), intent(in) :: start(:)
    integer, intent(in) :: ndim
    integer(c_size_t), intent(out) :: indices(fieldpress_max_dims)
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: reason
    character(80) :: counts
    indices = huge(indices)
    status = fieldpress_invalid_argument
    if (size(start, kind=c_size_t) /= ndim) then
      write (counts, '(i0, a, i0)') size(start, kind=c_size_t), ' indices; the box has dimensions: ', ndim
      reason = 'start has '//trim(counts)
      return
    end if
    select type (start)
    type is (integer(int32))
      indices(:ndim) = int(start(ndim:1:-1), c_size_t) - 1
    type is (integer(int64))
      indices(:ndim) = int(start(ndim:1:-1), c_size_t) - 1
    class default
      reason = 'start has to be of integers of 32 or 64 bits'
      return
    end select
    status = fieldpress_ok
  end subroutine

#define KIND real32
#define PUT put_r32_1
#define READ read_r32_1
#define RANKS :
#include "specifics.inc"
#define PUT put_r32_2
#define READ read_r32_2
#define READ_STEPS read_steps_r32_2
#define RANKS :, :
#include "specifics.inc"
#define PUT put_r32_3
#define READ read_r32_3
#define READ_STEPS read_steps_r32_3
#define RANKS :, :, :
#include "specifics.inc"
#define PUT put_r32_4
#define READ read_r32_4
#define READ_STEPS read_steps_r32_4
#define RANKS :, :, :, :
#include "specifics.inc"
#undef KIND
#define KIND real64
#define PUT put_r64_1
#define READ read_r64_1
#define RANKS :
#include "specifics.inc"
#define PUT put_r64_2
#define READ read_r64_2
#define READ_STEPS read_steps_r64_2
#define RANKS :, :
#include "specifics.inc"
#define PUT put_r64_3
#define READ read_r64_3
#define READ_STEPS read_steps_r64_3
#define RANKS :, :, :
#include "specifics.inc"
#define PUT put_r64_4
#define READ read_r64_4
#define READ_STEPS read_steps_r64_4
#define RANKS :, :, :, :
#include "specifics.inc"

end module
