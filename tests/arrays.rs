//! Arrays of `ndarray`: whatever the layout, a field's bytes are those of its copy in C order, and decoding fills what
//! it is given and nothing else.

use fieldpress::{
    ArrayField, Bound, Codec, Decoded, Effort, Element, ErrorKind, FieldView, FieldViewMut, FmMode, Options, Region,
    Request,
};
use ndarray::{Array, Array2, Array3, ArrayD, ArrayViewD, Axis, IxDyn, ShapeBuilder, Slice, arr0, s};
use proptest::prelude::*;

fn codec() -> Codec {
    Codec::new(Options::default().with_effort(Effort::Fast).with_fm(FmMode::Off).with_threads(1)).unwrap()
}

/// How an array is laid out in memory, and which of it is the field.
#[derive(Clone, Debug)]
struct Layout {
    dims: Vec<usize>,
    /// The order of axes in memory.
    order: Vec<usize>,
    /// Elements before and behind the field, and the step through it, along each axis.
    cuts: Vec<(usize, usize, isize)>,
}

fn layouts() -> impl Strategy<Value = Layout> {
    (1usize..=5).prop_flat_map(|ndim| {
        let order = Just((0..ndim).collect::<Vec<_>>()).prop_shuffle();
        let cut = prop_oneof![
            3 => Just((0, 0, 1)),
            1 => (0usize..3, 0usize..3, prop_oneof![Just(1isize), Just(-1), Just(2), Just(-3)]),
        ];
        (prop::collection::vec(1usize..7, ndim), order, prop::collection::vec(cut, ndim))
            .prop_map(|(dims, order, cuts)| Layout { dims, order, cuts })
    })
}

impl Layout {
    /// The memory: an array of NaN with its axes in memory's order.
    fn memory<T: Element>(&self) -> ArrayD<T> {
        let stored = self.order.iter().map(|&axis| {
            let (before, behind, step) = self.cuts[axis];
            before + (self.dims[axis] - 1) * step.unsigned_abs() + 1 + behind
        });
        ArrayD::from_elem(IxDyn(&stored.collect::<Vec<_>>()), T::from_f64(f64::NAN))
    }

    /// Which axis of the memory each of the field's is.
    fn axes(&self) -> Vec<usize> {
        (0..self.dims.len()).map(|axis| self.order.iter().position(|&a| a == axis).unwrap()).collect()
    }

    fn slice(&self, axis: usize) -> Slice {
        let (before, _, step) = self.cuts[axis];
        let end = before + (self.dims[axis] - 1) * step.unsigned_abs() + 1;
        Slice::new(before as isize, Some(end as isize), step)
    }

    fn field<'a, T: Element>(&self, memory: &'a ArrayD<T>) -> ArrayViewD<'a, T> {
        let mut view = memory.view().permuted_axes(self.axes());
        (0..self.dims.len()).for_each(|axis| view.slice_axis_inplace(Axis(axis), self.slice(axis)));
        view
    }

    fn field_mut<'a, T: Element>(&self, memory: &'a mut ArrayD<T>) -> ndarray::ArrayViewMutD<'a, T> {
        let mut view = memory.view_mut().permuted_axes(self.axes());
        (0..self.dims.len()).for_each(|axis| view.slice_axis_inplace(Axis(axis), self.slice(axis)));
        view
    }

    fn fills_memory(&self) -> bool {
        let whole = |(&(before, behind, step), &n): (&(usize, usize, isize), &usize)| {
            before == 0 && behind == 0 && (step == 1 || n == 1)
        };
        self.cuts.iter().zip(&self.dims).all(whole)
    }
}

fn check<T: Element + ndarray::LinalgScalar>(layout: &Layout, seed: u64) {
    let mut memory = layout.memory::<T>();
    let mut k = seed;
    layout.field_mut(&mut memory).mapv_inplace(|_| {
        k = k.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64((k >> 40) as f64 / 65536.0)
    });
    let view = layout.field(&memory);
    assert_eq!(view.shape(), layout.dims);
    let plain: Vec<T> = view.iter().copied().collect();

    let codec = codec();
    let bound = Bound::Abs(0.25);
    let (expected, _) = codec.compress(&FieldView::new(&plain, &layout.dims).unwrap(), bound).unwrap();
    let field = ArrayField::new(view.view()).unwrap();
    assert_eq!(codec.compress(&field.view(), bound).unwrap().0, expected);
    assert_eq!(codec.compress_array(view.view(), bound).unwrap().0, expected);
    match FieldView::from_array(view.view()) {
        Ok(in_place) => {
            assert!(!field.is_copied());
            assert_eq!(codec.compress(&in_place, bound).unwrap().0, expected);
        }
        Err(error) => {
            assert!(field.is_copied() && !layout.fills_memory());
            assert!(error.message().contains("ArrayField"), "{error}");
        }
    }

    let (decoded, _) = codec.decompress_array(&expected, &Request::default()).unwrap();
    let mut target = layout.memory::<T>();
    codec.decompress_into_array(&expected, &Request::default(), layout.field_mut(&mut target)).unwrap();
    let written = layout.field(&target);
    let decoded = decoded.into_f64();
    assert_eq!(written.mapv(T::to_f64), decoded);
    assert!(view.iter().zip(&decoded).all(|(a, b)| (a.to_f64() - b).abs() <= 0.25));
    // Elements beside the field stay as they were.
    let elsewhere = target.iter().filter(|v| v.to_f64().is_nan()).count();
    assert_eq!(elsewhere, target.len() - written.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn layouts_do_not_matter(layout in layouts(), seed: u64) {
        check::<f32>(&layout, seed);
        check::<f64>(&layout, seed);
    }
}

#[test]
fn fortran_order_is_not_copied() {
    let array: Array3<f32> = Array::from_shape_fn((4, 5, 6).f(), |(t, y, x)| (t * 30 + y * 6 + x) as f32);
    assert!(!ArrayField::new(array.view()).unwrap().is_copied());
    let field = FieldView::try_from(&array).unwrap();
    assert_eq!(field.shape().dims(), [4, 5, 6]);

    let (stream, _) = codec().compress(&field, Bound::Lossless).unwrap();
    let mut out: Array3<f32> = Array::zeros((4, 5, 6).f());
    codec().decompress(&stream, &Request::default(), &mut FieldViewMut::try_from(&mut out).unwrap()).unwrap();
    assert_eq!(out, array);
}

#[test]
fn a_box_of_a_field_is_a_field_over_the_same_memory() {
    let array: Array3<f64> = Array::from_shape_fn((3, 18, 20), |(t, y, x)| (t * 7 + y * y + 3 * x) as f64);
    let halo = Region { start: vec![0, 1, 1], count: vec![3, 16, 18] };
    let inner = FieldView::try_from(&array).unwrap().part(&halo).unwrap();
    let (stream, _) = codec().compress(&inner, Bound::Lossless).unwrap();
    let (decoded, _) = codec().decompress_array(&stream, &Request::default()).unwrap();
    assert_eq!(decoded, Decoded::F64(array.slice(s![.., 1..17, 1..19]).to_owned().into_dyn()));

    let outside = Region { start: vec![0, 3, 0], count: vec![3, 16, 18] };
    let error = FieldView::try_from(&array).unwrap().part(&outside).unwrap_err();
    assert!(error.message().contains("axis 1"), "{error}");
}

#[test]
fn a_decoded_field_has_the_type_and_shape_asked_for() {
    let array: Array3<f32> = Array::from_shape_fn((8, 16, 16), |(t, y, x)| (t + y + x) as f32);
    let (stream, _) = codec().compress_array(array.view(), Bound::Abs(1e-3)).unwrap();
    let request =
        Request { region: Some(Region { start: vec![2, 4, 0], count: vec![1, 3, 16] }), ..Request::default() };
    let (part, _) = codec().decompress_array(&stream, &request).unwrap();
    assert_eq!((part.shape(), part.dtype()), (&[1, 3, 16][..], fieldpress::DType::F32));
    assert_eq!(part.clone().into_f64(), part.into_f32().unwrap().mapv(f64::from));

    let mut wrong: Array3<f64> = Array::zeros((8, 16, 16));
    let error = codec().decompress_into_array(&stream, &Request::default(), wrong.view_mut()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("f64") && error.message().contains("f32"), "{error}");
    let (double, _) = codec().compress_array(wrong.view(), Bound::Lossless).unwrap();
    let decoded = codec().decompress_array(&double, &Request::default()).unwrap().0;
    assert!(decoded.into_f32().unwrap_err().message().contains("expected f32"));
}

#[test]
fn arrays_that_are_no_fields_are_refused() {
    for error in [
        ArrayField::new(arr0(1.0f32).view()).unwrap_err(),
        ArrayField::new(Array2::<f32>::zeros((3, 0)).view()).unwrap_err(),
        ArrayField::new(ArrayD::<f64>::zeros(IxDyn(&[1; 6])).view()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("dimensions"), "{error}");
    }
    // One element for all points: there is no memory to borrow, but values to copy.
    let one = arr0(2.5f32);
    let spread = ArrayField::new(one.broadcast((4, 4)).unwrap()).unwrap();
    assert!(spread.is_copied());
}
