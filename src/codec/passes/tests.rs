//! Passes over a field that needs no model.

use super::*;
use crate::bound::Bound;
use crate::codec::workers::Workers;
use crate::field::{FieldStats, Normalisation};
use crate::options::{FmMode, Options, Sentinels};

/// Calls `f` with the passes over waves that drift, at an NRMSE.
fn with_passes<O>(dims: [usize; 3], nrmse: f64, f: impl FnOnce(Passes<'_, f32>, f64) -> O) -> O {
    let wave = |i: usize| {
        let (t, y, x) = ((i / (dims[1] * dims[2])) as f32, (i / dims[2] % dims[1]) as f32, (i % dims[2]) as f32);
        let (x, y, s) = (x * 0.09, y * 0.07, t * 0.22);
        let wave = (x + 0.6 * y - s).sin() + (0.7 * x - y + 1.3 * s).cos();
        wave * (1.0 + 0.3 * (0.5 * x * y * 0.1 + s * 0.5).sin())
    };
    let values: Vec<f32> = (0..dims.iter().product()).map(wave).collect();
    let field = FieldView::new(&values, &dims).unwrap();
    let stats = FieldStats::of(&field, None, Sentinels::Auto);
    let normalisation = Normalisation::of(&stats).unwrap();
    let bound = Bound::Nrmse(nrmse);
    let target = Target::new(bound, &stats, stats.range()).unwrap();
    let options = Options { fm: FmMode::Off, ..Default::default() };
    let workers = Workers::of(1).unwrap();
    let tools = Tools { options: &options, package: None, workers: &workers };
    let cut = Cut::new(field.shape(), None, None).unwrap();
    let context = FieldContext {
        normalisation: &normalisation,
        specials: stats.specials.as_ref().unwrap(),
        clamped: true,
        bound,
        range: stats.range(),
        package: None,
        reference: None,
        progress: None,
        memo: None,
    };
    let budget = (target.size() / normalisation.scale()).powi(2) * stats.valid as f64;
    f(Passes { field: &field, values: &values, cut: &cut, context, target, valid: stats.valid, tools: &tools }, budget)
}

#[test]
fn corrected_forecasts_predict_the_budget_at_their_step() {
    with_passes([24, 48, 64], 4e-3, |passes, budget| {
        let candidates = [(0, Candidate::plain(untried(24, true)))].into();
        let [exact, coarser, finer] = [1.0, 0.7, 1.4].map(|over_forecast| {
            let feedback = RateFeedback { over_forecast, ..Default::default() };
            let found = passes.refine_step::<f32>(&[0], &candidates, 0.05, budget, feedback);
            let (step, forecasts) = found.unwrap().unwrap();
            let predicted: f64 = forecasts.iter().map(|forecast| forecast.total(step)).sum();
            assert!((predicted / budget - 1.0).abs() < 0.01, "{over_forecast}: {predicted} of {budget}");
            step
        });
        assert!(finer < exact * 0.95 && coarser > exact * 1.05, "{finer} {exact} {coarser}");
    });
}

#[test]
fn a_field_of_many_segments_uses_its_budget_up() {
    with_passes([300, 32, 40], 2e-3, |passes, budget| {
        let done = passes.run::<f32>(&mut StageSeconds::default()).unwrap().unwrap();
        assert!(done.sections.len() > 1);
        let share = done.errors.squared / budget;
        assert!(share <= 1.0 && share > 0.95, "{share}");
    });
}
