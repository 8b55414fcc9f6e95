//! ZFP: fixed accuracy, serial.
//!
//! ZFP rounds its tolerance down to a power of two, so its error moves in steps of two. To meet an error in between,
//! the field is scaled by a factor from 1 to 2 beforehand: a tolerance of 2^k on `s·x` is one of 2^k / s on `x`.

use super::{Method, Search, merged_dims};
use crate::reference::Reference;
use crate::sample::Sample;
use anyhow::{Result, ensure};
use std::borrow::Cow;
use std::ffi::c_void;
use zfp_sys as sys;

/// ZFP in its fixed-accuracy mode.
pub struct Zfp;

/// The tolerance as the power of two at or above it, and the scale that makes up the difference.
fn split(tolerance: f64) -> (f64, f64) {
    let power = tolerance.log2().ceil().exp2();
    (power, power / tolerance)
}

/// ZFP's handles for one call, freed on drop.
struct Handles {
    field: *mut sys::zfp_field,
    stream: *mut sys::zfp_stream,
    bits: *mut sys::bitstream,
}

impl Handles {
    /// `data` must stay valid, and for decompression writable, while the handles live.
    fn field<T: Sample>(data: *mut T, dims: &[usize]) -> Self {
        let dims = merged_dims(dims, 4);
        let data = data.cast::<c_void>();
        // SAFETY: allocate handles only; ZFP reads `data` when it compresses. Its first axis is the fastest.
        let (field, stream) = unsafe {
            let field = match dims[..] {
                [x] => sys::zfp_field_1d(data, T::ZFP_TYPE, x),
                [y, x] => sys::zfp_field_2d(data, T::ZFP_TYPE, x, y),
                [z, y, x] => sys::zfp_field_3d(data, T::ZFP_TYPE, x, y, z),
                [w, z, y, x] => sys::zfp_field_4d(data, T::ZFP_TYPE, x, y, z, w),
                _ => unreachable!("merged to at most four axes"),
            };
            (field, sys::zfp_stream_open(std::ptr::null_mut()))
        };
        Self { field, stream, bits: std::ptr::null_mut() }
    }

    /// `buffer` must hold `capacity` bytes while the handles live.
    fn attach(&mut self, buffer: *mut u8, capacity: usize) {
        // SAFETY: both handles are live; the caller vouches for the buffer.
        unsafe {
            self.bits = sys::stream_open(buffer.cast(), capacity);
            sys::zfp_stream_set_bit_stream(self.stream, self.bits);
            sys::zfp_stream_rewind(self.stream);
        }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: each was opened by `field` or `attach` and is closed once.
        unsafe {
            sys::zfp_field_free(self.field);
            sys::zfp_stream_close(self.stream);
            if !self.bits.is_null() {
                sys::stream_close(self.bits);
            }
        }
    }
}

impl<T: Sample> Method<T> for Zfp {
    fn codec(&self) -> &'static str {
        "ZFP"
    }

    fn mode(&self) -> &'static str {
        "fixed-accuracy"
    }

    fn search(&self, field: &Reference<'_, T>, target: f64) -> Search {
        Search::Bisect { start: 8.0 * target * field.range }
    }

    fn prepare<'a>(&self, field: &'a Reference<'_, T>, parameter: f64) -> Cow<'a, [T]> {
        let (_, scale) = split(parameter);
        Cow::Owned(field.filled.iter().map(|x| T::from_f64(x.to_f64() * scale)).collect())
    }

    fn compress(&self, field: &Reference<'_, T>, values: &[T], parameter: f64) -> Result<Vec<u8>> {
        let mut handles = Handles::field(values.as_ptr().cast_mut(), &field.dims);
        // SAFETY: `values` outlives the call and ZFP only reads it; the buffer has the size that ZFP asks for.
        unsafe {
            sys::zfp_stream_set_accuracy(handles.stream, split(parameter).0);
            let mut buffer = vec![0u8; sys::zfp_stream_maximum_size(handles.stream, handles.field)];
            handles.attach(buffer.as_mut_ptr(), buffer.len());
            ensure!(
                sys::zfp_write_header(handles.stream, handles.field, sys::ZFP_HEADER_FULL) > 0,
                "ZFP's header failed"
            );
            let bytes = sys::zfp_compress(handles.stream, handles.field);
            ensure!(bytes > 0, "ZFP's compression failed");
            buffer.truncate(bytes);
            Ok(buffer)
        }
    }

    fn decompress(&self, field: &Reference<'_, T>, stream: &[u8], out: &mut [T]) -> Result<()> {
        let mut handles = Handles::field(out.as_mut_ptr(), &field.dims);
        handles.attach(stream.as_ptr().cast_mut(), stream.len());
        // SAFETY: `out` has the field's length, the stream is ZFP's own and only read.
        unsafe {
            ensure!(
                sys::zfp_read_header(handles.stream, handles.field, sys::ZFP_HEADER_FULL) > 0,
                "ZFP's header is broken"
            );
            ensure!(sys::zfp_decompress(handles.stream, handles.field) > 0, "ZFP's decompression failed");
        }
        Ok(())
    }

    fn restore(&self, out: &mut [T], parameter: f64) {
        let (_, scale) = split(parameter);
        for x in out {
            *x = T::from_f64(x.to_f64() / scale);
        }
    }
}
