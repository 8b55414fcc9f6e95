//! The value types that fieldpress and every peer can compress.

use fieldpress::Element;

/// f32 or f64, with what each peer needs to know about it.
pub trait Sample: Element + sz3::SZ3Compressible + sperr::Element + Default {
    /// ZFP's name of the type.
    const ZFP_TYPE: zfp_sys::zfp_type;
}

impl Sample for f32 {
    const ZFP_TYPE: zfp_sys::zfp_type = zfp_sys::zfp_type_zfp_type_float;
}

impl Sample for f64 {
    const ZFP_TYPE: zfp_sys::zfp_type = zfp_sys::zfp_type_zfp_type_double;
}
