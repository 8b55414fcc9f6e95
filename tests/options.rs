//! Options as text: what is written reads back, and what is not understood is said in a sentence.

use fieldpress::{Bound, Device, Effort, FmMode, Options, Result, Sentinels};
use proptest::prelude::*;
use std::fmt::{Debug, Display};
use std::num::NonZeroU16;
use std::str::FromStr;

fn reads_back<T: Debug + Display + FromStr<Err = fieldpress::Error> + PartialEq>(value: T) {
    assert_eq!(value.to_string().parse::<T>().unwrap(), value);
}

fn message<T: Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn words_read_back() {
    [Effort::Fast, Effort::Normal, Effort::High].into_iter().for_each(reads_back);
    [FmMode::Auto, FmMode::On, FmMode::Off].into_iter().for_each(reads_back);
    [Device::Auto, Device::Cpu, Device::Cuda(None), Device::Cuda(Some(0))].into_iter().for_each(reads_back);
    [Sentinels::Auto, Sentinels::Off, Sentinels::Given(vec![-9999.0, 1e20])].into_iter().for_each(reads_back);
    reads_back(Bound::Lossless);
}

#[test]
fn mistakes_say_what_was_wrong_and_what_was_expected() {
    assert_eq!(message("3".parse::<Effort>()), "effort='3' is not valid; expected 0, 1 or 2");
    assert_eq!(message("yes".parse::<FmMode>()), "fm='yes' is not valid; expected auto, on or off");
    for device in ["gpu", "cuda:", "cuda:-1", "cuda:4294967296"] {
        let expected = format!("device='{device}' is not valid; expected auto, cpu, cuda or cuda:N");
        assert_eq!(message(device.parse::<Device>()), expected);
    }
    assert!(message("max=1".parse::<Bound>()).contains("'max' is not known; expected one of abs, rel, nrmse"));
    assert!(message("abs".parse::<Bound>()).contains("'abs' is not of the form kind=value"));
    assert!(message("abs=big".parse::<Bound>()).contains("'big' is not a number; expected one"));
    assert!(message("abs=-1".parse::<Bound>()).contains("must be finite and greater than 0"));
    assert_eq!(message("effort=3".parse::<Options>()), "option effort='3' is not valid; expected 0, 1 or 2");
    for text in ["", "on", "nan", "inf", "1e999", "auto,1", "1,,2", "1,2,3,4,5,6,7,8,9"] {
        let expected = format!("option sentinels='{text}' is not valid; expected auto, off, or one to eight numbers");
        assert!(message(format!("sentinels={text}").parse::<Options>()).starts_with(&expected), "{text}");
    }
    assert!(message("axes=0,1,1".parse::<Options>()).contains("expected three or four axis numbers"));
    assert!(message("speed=3".parse::<Options>()).contains("'speed' is not known; expected one of model, device"));
    assert!(message("effort".parse::<Options>()).contains("'effort' is not of the form key=value"));
}

#[test]
fn text_and_calls_set_the_same() {
    let text = "model=some/where;device=cuda:1;threads=3;effort=2;fm=off;fill_value=-999;sentinels=-9999, 1e20;\
                axes=2,0,1;segment=16;range=2.5";
    let called = Options::default()
        .with_model("some/where")
        .with_device(Device::Cuda(Some(1)))
        .with_threads(3)
        .with_effort(Effort::High)
        .with_fm(FmMode::Off)
        .with_fill_value(-999.0)
        .with_sentinels(Sentinels::Given(vec![-9999.0, 1e20]))
        .with_axes([2, 0, 1])
        .with_segment(NonZeroU16::new(16))
        .with_range(2.5);
    assert_eq!(text.parse::<Options>().unwrap(), called);
    assert_eq!(called.with_threads(None).threads, None);
}

proptest! {
    #[test]
    fn bounds_read_back(value in prop_oneof![f64::MIN_POSITIVE..=f64::MAX, 1e-9..=1e3], kind in 0usize..5) {
        let bound = [Bound::Abs, Bound::Rel, Bound::Nrmse, Bound::Psnr, Bound::BlockL2][kind](value);
        reads_back(bound);
    }

    #[test]
    fn sentinels_read_back(values in prop::collection::vec(prop::num::f64::NORMAL, 1..9)) {
        reads_back(Sentinels::Given(values));
    }

    #[test]
    fn devices_read_back(index: u32) {
        reads_back(Device::Cuda(Some(index)));
    }

    #[test]
    fn any_text_is_understood_or_refused(text in "\\PC{0,12}") {
        // What is understood is what is written for it.
        if let Ok(device) = text.parse::<Device>() {
            reads_back(device);
        }
        if let Ok(bound) = text.parse::<Bound>() {
            reads_back(bound);
        }
        prop_assert!(text.parse::<Options>().is_ok() || !message(text.parse::<Options>()).is_empty());
    }
}
