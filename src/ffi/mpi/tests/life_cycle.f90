! An archive's life over MPI, from Fortran, with both forms of a communicator: checks itself, and prints nothing else.
! With a second argument, it assigns a reader of what a run has left, which must stop it.
program life_cycle
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, real32, real64
  use mpi_f08
  use fieldpress
  use fieldpress_mpi
  implicit none

  integer, parameter :: mx = 10, my = 6, steps = 3
  ! An axis longer than default integers count.
  integer(int64), parameter :: long = 3000000000_int64
  integer :: rank, ranks
  character(256) :: path, message
  integer :: stat
  type(fieldpress_archive) :: early

  call get_command_argument(1, path)
  if (command_argument_count() == 2) then
    call assign(trim(path)//'.f08')
    stop
  end if
  ! Before MPI_Init: an error, not a crash.
  call early%open(MPI_COMM_WORLD, path, stat=stat, errmsg=message)
  call check(stat == fieldpress_invalid_argument .and. index(message, 'MPI_Init') > 0, 'opening before MPI_Init')
  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)

  call write_with_integer(MPI_COMM_WORLD%mpi_val, trim(path)//'.integer')
  call write_with_f08(MPI_COMM_WORLD, trim(path)//'.f08')
  call read_back(trim(path)//'.integer')
  call read_back(trim(path)//'.f08')
  call mistakes()
  call MPI_Finalize()

contains

  subroutine check(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what
    if (holds) return
    write (error_unit, '(4a)') 'fails: ', what, '; last message: ', trim(message)
    error stop 1
  end subroutine

  pure function value(i, j, step) result(v)
    integer, intent(in) :: i, j, step
    real(real64) :: v
    v = 0.1_real64*j*i + step
  end function

  ! What `use mpi` or mpif.h gives: an integer.
  subroutine write_with_integer(comm, name)
    integer, intent(in) :: comm
    character(*), intent(in) :: name
    type(fieldpress_archive) :: archive
    call archive%open(comm, name, 'mode=replace;threads=1')
    call write_steps(archive)
  end subroutine

  subroutine write_with_f08(comm, name)
    type(MPI_Comm), intent(in) :: comm
    character(*), intent(in) :: name
    type(fieldpress_archive) :: archive
    call archive%open(comm, name, 'mode=replace;threads=1')
    call write_steps(archive)
  end subroutine

  ! Each rank a strip along the second axis, out of an array with halo cells.
  subroutine write_steps(archive)
    type(fieldpress_archive), intent(inout) :: archive
    real(real64) :: field(0:mx + 1, 0:my + 1), line(mx*ranks)
    real(real32) :: single(my, 2)
    type(fieldpress_step_report) :: report
    integer :: u, s, l, w, step, i, j, committed
    call archive%define('u', [mx, my*ranks], fieldpress_f64, u)
    call archive%define('s', [2*ranks, my], fieldpress_f32, s)
    call archive%define('l', [mx*ranks], fieldpress_f64, l)
    call archive%define('w', [long], fieldpress_f64, w)
    call archive%define('', [mx], fieldpress_f64, i, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument, 'a name must not be empty')
    call archive%set_text('units', 'm/s', u)
    call archive%set_text('title', repeat('long ', 100)//'end')
    call archive%set_dimensions(['x', 'y'], u)
    call archive%set_coordinate('x', [(2.5_real64*i, i=1, mx)], 'm')
    call archive%set_reals('origin', [(0.5_real64*i, i=1, 20)], u)
    do step = 0, steps - 1
      field = -1
      do j = 1, my
        do i = 1, mx
          field(i, j) = value(i, rank*my + j, step)
        end do
      end do
      single = real(rank, real32)
      line = [(real(i, real64), i=1, size(line))]
      call archive%begin_step(0.5_real64*step)
      call archive%put(u, [1, rank*my + 1], field(1:mx, 1:my), fieldpress_lossless())
      call archive%put(s, [2*rank + 1, 1], transpose(single), fieldpress_lossless())
      if (rank == 0) call archive%put(l, [1], line(::1), fieldpress_rel(1e-6_real64))
      if (rank == 0) call archive%put(w, [long - mx + 1], field(1:mx, 1), fieldpress_lossless())
      call archive%end_step(report)
      call check(report%steps == 1 .and. report%chunks == merge(4, 2, rank == 0), 'a step is committed')
    end do
    ! A box outside the domain on one rank is every rank's error, and the step is dropped.
    call archive%begin_step(9.0_real64)
    call archive%put(u, [merge(2, 1, rank == 0), rank*my + 1], field(1:mx, 1:my), fieldpress_lossless(), stat=stat)
    call check((stat == fieldpress_invalid_argument) .eqv. (rank == 0), 'a box outside the domain')
    call archive%end_step(stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'variable u') > 0, 'all ranks learn of it')
    ! So is a start of another rank than the field's, whose missing index C would read from beyond it.
    call archive%begin_step(9.0_real64)
    if (rank == 0) then
      call archive%put(u, [1], field(1:mx, 1:my), fieldpress_lossless(), stat=stat, errmsg=message)
      call check(stat == fieldpress_invalid_argument .and. index(message, 'start has 1 ') > 0, 'a start that is too short')
      call archive%put(u, [1, 1, 1, 1, 1, 1], field(1:mx, 1:my), fieldpress_lossless(), stat=stat, errmsg=message)
      call check(stat == fieldpress_invalid_argument .and. index(message, 'start has 6 ') > 0, 'a start that is too long')
      call archive%put(u, [1.0, 1.0], field(1:mx, 1:my), fieldpress_lossless(), stat=stat, errmsg=message)
      call check(stat == fieldpress_invalid_argument .and. index(message, 'integers') > 0, 'a start of reals')
    end if
    call archive%end_step(stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'variable u') > 0, 'all ranks learn of the start')
    call archive%committed_steps(committed)
    call check(committed == steps, 'the steps before are there')
    call archive%close()
  end subroutine

  subroutine read_back(name)
    character(*), intent(in) :: name
    type(fieldpress_reader) :: reader, shared
    real(real64) :: whole(0:mx + 1, my*ranks), part(4, 3), line(mx*ranks), time
    real(real32) :: single(2*ranks, my)
    real(real64) :: series(2, 3, steps)
    real(real64), allocatable :: numbers(:)
    character(:), allocatable :: text
    integer, allocatable :: extents(:)
    integer(int64), allocatable :: wide(:)
    integer :: variables, count, u, i, j, k, dtype
    call reader%open(name, 'threads=1')
    call reader%counts(variables, count)
    call check(variables == 4 .and. count == steps, 'variables and steps')
    call reader%time(2, time)
    call check(time == 1.0_real64, 'time of a step')
    call reader%find('u', u)
    ! Into a section: what lies beside it stays.
    whole = -7
    call reader%read(u, 2, [1, 1], whole(1:mx, :))
    call check(all(whole(0, :) == -7) .and. all(whole(mx + 1, :) == -7), 'cells beside the section stay')
    call check(all([((whole(i, j) == value(i, j, 2), i=1, mx), j=1, my*ranks)]), 'the whole field')
    call reader%variable(1, text, extents, dtype)
    call check(text == 's' .and. all(extents == [2*ranks, my]) .and. dtype == fieldpress_f32, 'a variable')
    call reader%variable(3, text, wide, dtype)
    call check(text == 'w' .and. all(wide == [long]) .and. dtype == fieldpress_f64, 'a long axis')
    call reader%variable(3, text, extents, dtype, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. size(extents) == 0 .and. index(message, '3000000000') > 0, &
      'an axis too long for default integers')
    call reader%read(3, 2, [long - mx + 1], line(1:mx))
    call check(all(line(1:mx) == [(value(i, 1, 2), i=1, mx)]), 'the end of a long axis')
    call reader%variable(4, text, extents, dtype, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. size(extents) == 0, 'a variable that is not there')
    call reader%get_text('units', text, u)
    call check(text == 'm/s', 'a text')
    call reader%get_text('title', text)
    call check(text == repeat('long ', 100)//'end', 'a long text')
    call reader%get_reals('origin', numbers, u)
    call check(size(numbers) == 20 .and. numbers(20) == 10, 'numbers')
    call reader%get_reals('units', numbers, u, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. size(numbers) == 0, 'a text is no number')
    ! A point region over all steps.
    call reader%read_steps(u, 0, [4, 3], series(:, ::2, :))
    call check(all([(((series(i, 2*j - 1, k) == value(3 + i, 2 + j, k - 1), i=1, 2), j=1, 2), k=1, steps)]), 'a series')
    call reader%read_steps(u, 1, [4, 3], series(:, ::2, :), stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'steps') > 0, 'more steps than there are')
    ! Every second element, from another place.
    call reader%read(u, 1, [3, 2], part(::2, :))
    call check(all([((part(1 + 2*i, j) == value(3 + i, 1 + j, 1), i=0, 1), j=1, 3)]), 'a box')
    ! Starts, and boxes, of another rank.
    call reader%read(u, 1, [3], part, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'start has 1 ') > 0, 'a start that is too short')
    call reader%read_steps(u, 0, [4, 3, 1], series, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'start has 3 ') > 0, 'a start that is too long')
    call reader%read(u, 1, [1], line, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'axis') > 0, 'a box of fewer dimensions')
    call reader%read(2, 1, [1, 1], part(:1, :), stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument, 'a box of more dimensions')
    call reader%read_steps(u, 0, [1], part, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'axis') > 0, 'a series of fewer dimensions')
    call reader%read(1, 0, [1, 1], single)
    call check(all([(all(single(2*i + 1:2*i + 2, :) == real(i, real32)), i=0, ranks - 1)]), 'single precision')
    call reader%read(2, 0, [1], line)
    call check(maxval(abs(line - [(real(i, real64), i=1, size(line))])) <= 1e-6_real64*size(line), 'one axis')
    call reader%read(u, 3, [1, 1], whole(1:mx, :), stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'step') > 0, 'a step that is not there')

    ! All ranks together, with both forms.
    call shared%open_shared(MPI_COMM_WORLD, name, 'threads=1')
    call shared%share_index(MPI_COMM_WORLD%mpi_val, 1)
    call shared%share_index(MPI_COMM_WORLD, 2)
    whole = 0
    call shared%read(u, 2, [1, 1], whole(1:mx, :))
    call check(all([((whole(i, j) == value(i, j, 2), i=1, mx), j=1, my*ranks)]), 'the whole field, together')
    call shared%open_shared(MPI_COMM_WORLD%mpi_val, name)
    call shared%share_index(MPI_COMM_WORLD, 7, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument, 'an index that is not there')
  end subroutine

  subroutine assign(name)
    character(*), intent(in) :: name
    type(fieldpress_reader) :: a, b
    call a%open(name)
    b = a
  end subroutine

  subroutine mistakes()
    type(fieldpress_archive) :: archive
    type(fieldpress_reader) :: reader
    call archive%open(MPI_COMM_NULL, path, stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument, 'no communicator')
    call archive%open(MPI_COMM_WORLD%mpi_val, path, 'window=none', stat=stat, errmsg=message)
    call check(stat == fieldpress_invalid_argument .and. index(message, 'window') > 0, 'an option that is not valid')
    call archive%begin_step(0.0_real64, stat=stat)
    call check(stat == fieldpress_invalid_argument, 'an archive that is not open')
    call reader%open('/no/such/archive', stat=stat, errmsg=message)
    call check(stat == fieldpress_io .and. index(message, '/no/such/archive') > 0, 'no such file')
    call reader%open_shared(MPI_COMM_WORLD, '/no/such/archive', stat=stat, errmsg=message)
    call check(stat == fieldpress_io .and. index(message, '/no/such/archive') > 0, 'no such file, together')
  end subroutine
end program
