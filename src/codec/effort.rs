//! Every knob that an effort turns, and where each effort has it. Nothing else in the codec asks which effort it is.

use crate::enhance::{Network, Views};
use crate::options::Effort;
use crate::stream::IndexCoder;

/// The knobs of one effort; [`EffortKnobs::of`] gives them.
#[derive(Debug)]
pub(crate) struct EffortKnobs {
    /// Whether `fm=auto` means that the model is opened.
    pub(crate) auto_opens_model: bool,
    /// How quantiser indices are coded.
    pub(crate) index_coder: IndexCoder,

    /// How a segment's prediction mode, window length and basis are decided.
    pub(crate) mode_decision: ModeDecision,
    /// What of a segment trials are made on.
    pub(crate) sample: SampleSize,
    /// The contexts that trials are coded with.
    pub(crate) trial_contexts: TrialContexts,
    /// Which window lengths and which gains of the autoencoder are tried.
    pub(crate) breadth: Breadth,

    /// The enhancers that may run, the one that is preferred first.
    pub(crate) networks: &'static [Network],
    /// Turned views of the frames that the enhancer's correction is the mean of.
    pub(crate) views: Views,
    /// Whether a segment may be both interpolated and enhanced where `fm=auto`: both take their time when decoding.
    pub(crate) networks_per_segment: NetworksPerSegment,
    /// The step at which enhanced candidates are compared.
    pub(crate) enhanced_at: EnhancedAt,
    /// Bytes that enhancement must save of a segment that uses no model else: what naming the model costs a stream, and
    /// more where a part of a segment speaks for it.
    pub(crate) naming_bytes: f64,
    /// Which streams that use the model are made once more without it, the smaller one being kept.
    pub(crate) made_without_model: MadeWithoutModel,

    /// One window in so many is looked at for a forecast of a segment's error.
    pub(crate) window_stride: usize,
    /// Trials of the last window's step after which one that meets the budget, though not closely, is taken.
    pub(crate) trials_enough: usize,
    /// The share of its budget that the last window may leave unused.
    pub(crate) slack: f64,
    /// How the last window's step is found where frames are enhanced.
    pub(crate) enhanced_last_step: LastStep,
    /// The share of the squared error that a pass may leave unused where frames are enhanced; how much enhancement
    /// takes away is not known before.
    pub(crate) slack_enhanced: f64,
    /// What a pass whose last window's step strayed far from the others' teaches the next.
    pub(crate) overshoot: OvershootCorrection,
}

/// See [`EffortKnobs::mode_decision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeDecision {
    /// The usual mode, untried.
    None,
    /// The best of trials on a sample.
    Trials,
}

/// See [`EffortKnobs::sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleSize {
    /// A crop of some frames from its middle.
    Part,
    /// All of it.
    Whole,
}

/// See [`EffortKnobs::trial_contexts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrialContexts {
    /// The fast ones, which rank candidates nearly as the mixed ones do.
    Fast,
    /// Those that the segment will be coded with.
    Mixed,
}

/// See [`EffortKnobs::breadth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// The usual ones, and others where those come near the best so far; the model with the best of them alone.
    Promising,
    /// All.
    All,
}

/// See [`EffortKnobs::networks_per_segment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworksPerSegment {
    /// The interpolator or the enhancer, whichever leaves fewer bytes.
    One,
    /// Both where both pay.
    Two,
}

/// See [`EffortKnobs::enhanced_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnhancedAt {
    /// The step of all trials, which asks nothing of enhancement.
    CommonStep,
    /// The step that their enhanced error asks for, which is 1.3 to 1.6 times as coarse.
    OwnStep,
}

/// See [`EffortKnobs::made_without_model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeWithoutModel {
    /// Those that samples promise little for, or say little of.
    Doubtful,
    /// All.
    All,
}

/// See [`EffortKnobs::enhanced_last_step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastStep {
    /// Solved for with what enhancement left of the frames before, and corrected by what it leaves of the last ones.
    Solved,
    /// Searched by what all of its frames come to, enhanced.
    Searched,
}

/// See [`EffortKnobs::overshoot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OvershootCorrection {
    /// There is no other pass.
    None,
    /// A smaller share of the budget is given out before the last window.
    Reserve,
    /// The forecast of each window is corrected.
    Forecasts,
}

/// `effort=0`: as fast as the classical compressors; no trials, no model.
const FAST: EffortKnobs = EffortKnobs {
    auto_opens_model: false,
    index_coder: IndexCoder::Tables,
    mode_decision: ModeDecision::None,
    sample: SampleSize::Part,
    trial_contexts: TrialContexts::Fast,
    breadth: Breadth::Promising,
    networks: &[],
    views: Views::One,
    networks_per_segment: NetworksPerSegment::One,
    enhanced_at: EnhancedAt::CommonStep,
    naming_bytes: 32.0,
    made_without_model: MadeWithoutModel::Doubtful,
    window_stride: 3,
    trials_enough: 2,
    slack: 0.02,
    enhanced_last_step: LastStep::Solved,
    slack_enhanced: 0.08,
    overshoot: OvershootCorrection::None,
};

/// `effort=1`: candidates tried on a sample, and one network where it pays.
const NORMAL: EffortKnobs = EffortKnobs {
    auto_opens_model: true,
    index_coder: IndexCoder::Mixed,
    mode_decision: ModeDecision::Trials,
    networks: &[Network::Small],
    window_stride: 2,
    trials_enough: 4,
    slack: 0.006,
    overshoot: OvershootCorrection::Reserve,
    ..FAST
};

/// `effort=2`: every candidate on all of the segment, both networks, and budgets used up whatever the time.
const HIGH: EffortKnobs = EffortKnobs {
    sample: SampleSize::Whole,
    trial_contexts: TrialContexts::Mixed,
    breadth: Breadth::All,
    networks: &[Network::Fine, Network::Small],
    views: Views::Four,
    networks_per_segment: NetworksPerSegment::Two,
    enhanced_at: EnhancedAt::OwnStep,
    naming_bytes: 16.0,
    made_without_model: MadeWithoutModel::All,
    enhanced_last_step: LastStep::Searched,
    slack_enhanced: 0.012,
    overshoot: OvershootCorrection::Forecasts,
    ..NORMAL
};

impl EffortKnobs {
    /// Whether contexts are mixed where bits are coded one by one; else the first one's counter alone gives the
    /// probability.
    pub(crate) fn mixes_contexts(&self) -> bool {
        self.index_coder == IndexCoder::Mixed
    }

    /// The knobs of an effort.
    pub(crate) fn of(effort: Effort) -> &'static Self {
        match effort {
            Effort::Fast => &FAST,
            Effort::Normal => &NORMAL,
            Effort::High => &HIGH,
        }
    }
}
