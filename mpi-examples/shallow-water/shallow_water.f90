! The shallow-water equations on a periodic square, on a 2-D grid of ranks, written to an archive through module
! fieldpress_mpi.
!
!   mpirun -n 4 shallow_water write shallow-water.fpa     the simulation
!   mpirun -n 2 shallow_water read shallow-water.fpa      strips, by another number of ranks
!
! Both print the same line for each step.
program shallow_water
  use, intrinsic :: iso_fortran_env, only: error_unit, real32, real64
  use mpi_f08
  use fieldpress
  use fieldpress_mpi
  implicit none

  integer, parameter :: n = 128, outputs = 6, steps_per_output = 40
  real(real64), parameter :: gravity = 9.81_real64, depth = 1.0_real64, dx = 1.0_real64, dt = 0.1_real64
  integer :: ranks
  character(256) :: mode, path

  call MPI_Init()
  call MPI_Comm_size(MPI_COMM_WORLD, ranks)
  call get_command_argument(1, mode)
  call get_command_argument(2, path)
  select case (mode)
  case ('write')
    call write_archive()
  case ('read')
    call read_archive()
  case default
    write (error_unit, '(a)') 'usage: shallow_water write|read ARCHIVE'
  end select
  call MPI_Finalize()

contains

  subroutine write_archive()
    type(MPI_Comm) :: grid
    type(fieldpress_archive) :: archive
    integer :: dims(2), place(2), first(2), last(2), output, k, id_h, id_u, id_v, i, j, rank
    real(real64), allocatable :: h(:, :), u(:, :), v(:, :)
    character(512) :: message
    integer :: status

    dims = 0
    call MPI_Dims_create(ranks, 2, dims)
    call MPI_Cart_create(MPI_COMM_WORLD, 2, dims, [.true., .true.], .false., grid)
    call MPI_Comm_rank(grid, rank)
    call MPI_Cart_coords(grid, rank, 2, place)
    first = place*n/dims + 1
    last = (place + 1)*n/dims
    ! With one halo cell on each side.
    allocate (h(first(1) - 1:last(1) + 1, first(2) - 1:last(2) + 1))
    allocate (u, v, mold=h)
    u = 0
    v = 0
    do j = first(2), last(2)
      do i = first(1), last(1)
        h(i, j) = depth + 0.1_real64*exp(-((i - 40)**2 + (j - 50)**2)/80.0_real64) &
          + 0.05_real64*exp(-((i - 90)**2 + (j - 85)**2)/40.0_real64)
      end do
    end do

    call archive%open(grid, path, 'mode=replace;threads=1', stat=status, errmsg=message)
    if (status /= fieldpress_ok) then
      ! The same on all ranks.
      if (rank == 0) write (error_unit, '(2a)') 'shallow_water: ', trim(message)
      return
    end if
    call archive%define('height', [n, n], fieldpress_f64, id_h)
    call archive%define('u', [n, n], fieldpress_f64, id_u)
    call archive%define('v', [n, n], fieldpress_f64, id_v)
    call archive%set_text('units', 'm', id_h)
    call archive%set_dimensions(['x', 'y'], id_h)
    call archive%set_dimensions(['x', 'y'], id_u)
    call archive%set_dimensions(['x', 'y'], id_v)
    call archive%set_coordinate('x', [(k*dx, k=1, n)], 'm')
    call archive%set_coordinate('y', [(k*dx, k=1, n)], 'm')
    do output = 1, outputs
      do k = 1, steps_per_output
        call advance(grid, h, u, v, first, last)
      end do
      call archive%begin_step(output*steps_per_output*dt)
      ! Without the halos: these sections are read where they lie.
      call archive%put(id_h, first, h(first(1):last(1), first(2):last(2)), fieldpress_rel(1e-4_real64))
      call archive%put(id_u, first, u(first(1):last(1), first(2):last(2)), fieldpress_nrmse(1e-3_real64))
      call archive%put(id_v, first, v(first(1):last(1), first(2):last(2)), fieldpress_nrmse(1e-3_real64))
      call archive%end_step()
      call print_line(grid, output*steps_per_output*dt, h(first(1):last(1), first(2):last(2)))
    end do
    call archive%close()
    call MPI_Comm_free(grid)
  end subroutine

  ! Forward in time for the velocities, backward for the height: stable for waves.
  subroutine advance(grid, h, u, v, first, last)
    type(MPI_Comm), intent(in) :: grid
    integer, intent(in) :: first(2), last(2)
    real(real64), intent(inout) :: h(first(1) - 1:, first(2) - 1:), u(first(1) - 1:, first(2) - 1:), &
      v(first(1) - 1:, first(2) - 1:)
    integer :: i, j
    call exchange(grid, h, first, last)
    do j = first(2), last(2)
      do i = first(1), last(1)
        u(i, j) = u(i, j) - dt*gravity*(h(i + 1, j) - h(i, j))/dx
        v(i, j) = v(i, j) - dt*gravity*(h(i, j + 1) - h(i, j))/dx
      end do
    end do
    call exchange(grid, u, first, last)
    call exchange(grid, v, first, last)
    do j = first(2), last(2)
      do i = first(1), last(1)
        h(i, j) = h(i, j) - dt*depth*(u(i, j) - u(i - 1, j) + v(i, j) - v(i, j - 1))/dx
      end do
    end do
  end subroutine

  subroutine exchange(grid, f, first, last)
    type(MPI_Comm), intent(in) :: grid
    integer, intent(in) :: first(2), last(2)
    real(real64), intent(inout) :: f(first(1) - 1:, first(2) - 1:)
    real(real64), allocatable :: sent(:), received(:)
    integer :: axis, before, after, length
    do axis = 1, 2
      call MPI_Cart_shift(grid, axis - 1, 1, before, after)
      length = size(f, 3 - axis)
      allocate (sent(length), received(length))
      if (axis == 1) sent = f(last(1), :)
      if (axis == 2) sent = f(:, last(2))
      call MPI_Sendrecv(sent, length, MPI_DOUBLE_PRECISION, after, 0, received, length, MPI_DOUBLE_PRECISION, before, 0, &
        grid, MPI_STATUS_IGNORE)
      if (axis == 1) f(first(1) - 1, :) = received
      if (axis == 2) f(:, first(2) - 1) = received
      if (axis == 1) sent = f(first(1), :)
      if (axis == 2) sent = f(:, first(2))
      call MPI_Sendrecv(sent, length, MPI_DOUBLE_PRECISION, before, 1, received, length, MPI_DOUBLE_PRECISION, after, 1, &
        grid, MPI_STATUS_IGNORE)
      if (axis == 1) f(last(1) + 1, :) = received
      if (axis == 2) f(:, last(2) + 1) = received
      deallocate (sent, received)
    end do
  end subroutine

  ! One line on rank 0: the volume, and the largest height.
  subroutine print_line(comm, time, h)
    type(MPI_Comm), intent(in) :: comm
    real(real64), intent(in) :: time, h(:, :)
    real(real64) :: volume, largest
    integer :: rank
    call MPI_Comm_rank(comm, rank)
    call MPI_Reduce(sum(h), volume, 1, MPI_DOUBLE_PRECISION, MPI_SUM, 0, comm)
    call MPI_Reduce(maxval(h), largest, 1, MPI_DOUBLE_PRECISION, MPI_MAX, 0, comm)
    if (rank == 0) write (*, '(a, f6.1, a, f8.1, a, f6.3)') 'time ', time, '  volume ', volume, '  highest ', largest
  end subroutine

  ! Each rank reads a strip; the old interface's integer communicators would do, too.
  subroutine read_archive()
    type(fieldpress_reader) :: reader
    integer :: rank, variables, steps, step, id_h, first, last
    real(real64) :: time
    real(real64), allocatable :: h(:, :)
    call MPI_Comm_rank(MPI_COMM_WORLD, rank)
    first = rank*n/ranks + 1
    last = (rank + 1)*n/ranks
    allocate (h(first:last, n))
    call reader%open(path, 'threads=1')
    call reader%counts(variables, steps)
    call reader%find('height', id_h)
    do step = 0, steps - 1
      call reader%time(step, time)
      call reader%read(id_h, step, [first, 1], h)
      call print_line(MPI_COMM_WORLD, time, h)
    end do
  end subroutine
end program
