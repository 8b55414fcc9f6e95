! A two-dimensional shallow-water code that compresses while it runs. Waves from a drop in a basin with a ridge, on an
! Arakawa C grid with halo cells: forward in time for the velocities, backward for the height.
!
!   dh/dt = -d(H u)/dx - d(H v)/dy,   du/dt = -g dh/dx,   dv/dt = -g dh/dy,   H the depth at rest
!
! Every output hands the height's interior to fieldpress, one time step per call, in place; a window of eight gives
! bytes for the file. At the end the short window is flushed, and all of it is read back and compared.
!
!   shallow_water FOLDER
program shallow_water
  use, intrinsic :: iso_fortran_env, only: int8, int64, real64
  use fieldpress
  implicit none
  integer, parameter :: nx = 192, ny = 160, outputs = 44, every = 6, window = 8
  real(real64), parameter :: g = 9.81_real64, dx = 1000, dt = 4, tolerance = 1e-4_real64
  real(real64) :: h(0:nx + 1, 0:ny + 1), u(0:nx + 1, 0:ny + 1), v(0:nx + 1, 0:ny + 1), depth(0:nx + 1, 0:ny + 1)
  real(real64) :: kept(nx, ny, outputs)
  type(fieldpress_codec) :: codec
  type(fieldpress_steps) :: steps
  integer(int8), allocatable :: stream(:)
  integer(int64) :: bytes
  integer :: output, i, windows
  character(4096) :: folder

  call get_command_argument(1, folder)
  if (folder == '') error stop 'a folder is needed: shallow_water FOLDER'
  call begin()

  call codec%create()
  call steps%create(codec, h(1:nx, 1:ny), window, fieldpress_abs(tolerance))
  bytes = 0
  windows = 0
  do output = 1, outputs
    do i = 1, every
      call step()
    end do
    ! The interior of an array with halo cells: nothing is copied on this side.
    call steps%push(h(1:nx, 1:ny), stream)
    if (size(stream) > 0) call write_window()
    kept(:, :, output) = h(1:nx, 1:ny)
  end do
  call steps%flush(stream)
  if (size(stream) > 0) call write_window()

  print '(i0,a,i0,a,f0.1,a)', bytes, ' bytes in ', windows, ' windows, ', real(storage_size(kept)/8, real64)*size(kept)/bytes, &
    ' times smaller than the heights'
  call read_back()

contains

  subroutine begin()
    integer :: x, y
    do y = 0, ny + 1
      do x = 0, nx + 1
        h(x, y) = exp(-((x - 60)**2 + (y - 70)**2)/120.0_real64)
        depth(x, y) = 100 - 70*exp(-((x - 130 - 0.2_real64*y)/12)**2) ! a ridge
      end do
    end do
    u = 0
    v = 0
  end subroutine

  subroutine step()
    integer :: x, y
    do y = 1, ny
      do x = 1, nx - 1
        u(x, y) = u(x, y) - dt*g*(h(x + 1, y) - h(x, y))/dx
      end do
    end do
    do y = 1, ny - 1
      do x = 1, nx
        v(x, y) = v(x, y) - dt*g*(h(x, y + 1) - h(x, y))/dx
      end do
    end do
    ! Walls: no flow through the basin's edge, where u and v stay zero.
    do y = 1, ny
      do x = 1, nx
        h(x, y) = h(x, y) - dt/dx*( &
          u(x, y)*(depth(x, y) + depth(x + 1, y))/2 - u(x - 1, y)*(depth(x - 1, y) + depth(x, y))/2 + &
          v(x, y)*(depth(x, y) + depth(x, y + 1))/2 - v(x, y - 1)*(depth(x, y - 1) + depth(x, y))/2)
      end do
    end do
  end subroutine

  function path(window_number)
    integer, intent(in) :: window_number
    character(:), allocatable :: path
    character(8) :: number
    write (number, '(i4.4)') window_number
    path = trim(folder) // '/h.' // trim(number) // '.fp'
  end function

  subroutine write_window()
    integer :: unit
    windows = windows + 1
    open (newunit=unit, file=path(windows), access='stream', form='unformatted', action='write', status='replace')
    write (unit) stream
    close (unit)
    bytes = bytes + size(stream)
  end subroutine

  subroutine read_back()
    real(real64), allocatable :: part(:, :, :)
    integer(int8), allocatable :: read_stream(:)
    type(fieldpress_info) :: info
    integer :: unit, length, number, first
    first = 1
    do number = 1, windows
      open (newunit=unit, file=path(number), access='stream', form='unformatted', action='read')
      inquire (unit, size=length)
      allocate (read_stream(length))
      read (unit) read_stream
      close (unit)
      call fieldpress_inspect(read_stream, info)
      allocate (part(nx, ny, info%dims(1)))
      call codec%decompress(read_stream, part)
      if (maxval(abs(part - kept(:, :, first:first + size(part, 3) - 1))) > tolerance) error stop 'the bound is broken'
      first = first + size(part, 3)
      if (number == 5) call write_original(number, kept(:, :, first - size(part, 3):first - 1))
      deallocate (read_stream, part)
    end do
    if (first /= outputs + 1) error stop 'steps are missing'
  end subroutine

  ! What one window was before, for the picture.
  subroutine write_original(number, values)
    integer, intent(in) :: number
    real(real64), intent(in) :: values(:, :, :)
    integer :: unit
    open (newunit=unit, file=path(number) // '.f64', access='stream', form='unformatted', action='write', status='replace')
    write (unit) values
    close (unit)
  end subroutine

end program
